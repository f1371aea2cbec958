import type { AdamWOptions } from '../../../program/ops/optimizer.js';
import { elementCount, type Value } from '../../../program/types.js';
import {
  type Dispatch,
  f32Word,
  type Limits,
  type Lowering,
  type Operands,
  type Region,
} from './lowering.js';

/** Numbers that a workgroup works on, or more where that makes too many workgroups. */
const NUMBERS_PER_GROUP = 2048;
/** Enough workgroups to fill a GPU. */
const MAX_GROUPS = 1024;
/** A binding begins at a multiple of this many numbers. */
const ALIGNMENT = 64;
/** Stands for the logarithm of 0: its exponential is 0 too, whatever it is multiplied by. */
const LOWEST_LOGARITHM = -1e4;

/** A part of a tensor that one binding can show, and the workgroups for it. */
interface Range {
  readonly first: number;
  readonly size: number;
  readonly groups: number;
}

function rangesOf(value: Value, limits: Limits): Range[] {
  const count = elementCount(value.shape);
  const fit = Math.floor(limits.bindingBytes / 4);
  const most = fit >= count ? count : fit - (fit % ALIGNMENT);
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => {
    const first = i * most;
    const size = Math.min(most, count - first);
    return { first, size, groups: Math.min(MAX_GROUPS, limits.groups, Math.ceil(size / NUMBERS_PER_GROUP)) };
  });
}

const sliceOf = (value: Value, { first, size }: Range, at: Operands): Region => {
  const region = at.of(value);
  return { ...region, offset: region.offset + 4 * first, bytes: 4 * size };
};

/** What a sum over a tensor needs: its ranges, and one number in the workspace for each workgroup if there are several. */
function sumOf(value: Value, limits: Limits) {
  const ranges = rangesOf(value, limits);
  const sums = ranges.reduce((count, range) => count + range.groups, 0);
  return { ranges, sums, bytes: sums > 1 ? 4 * sums : 0 };
}

/** squares[index] = the sum of what one of the kernels gives for each workgroup; it writes `total`, if there is one. */
function sumSquares(
  entry: 'accumulate' | 'sum_of_squares',
  [gradient, total]: readonly [Value, Value?],
  [squares, index]: readonly [Value, number],
  at: Operands,
): Dispatch[] {
  const { ranges, sums, bytes } = sumOf(gradient, at.target);
  const shared = { file: 'optimizer', types: {}, constants: {} };
  const out = at.of(squares);
  const room = { ...at.workspace, bytes };
  let next = 0;
  const parts = ranges.map((range): Dispatch => {
    const first = sums > 1 ? next : index;
    next += range.groups;
    return {
      ...shared,
      entry,
      shape: [range.size, first],
      groups: [range.groups, 1],
      bindings: [
        sliceOf(gradient, range, at),
        sums > 1 ? room : out,
        ...(total ? [sliceOf(total, range, at)] : []),
      ],
    };
  });
  if (sums === 1) return parts;
  return [...parts, { ...shared, entry: 'sum', shape: [sums, index], bindings: [room, out], groups: [1, 1] }];
}

export const accumulateLowering: Lowering = {
  lower: ({ inputs: [total, gradient], outputs: [, squares], attributes: { index } }, at) =>
    sumSquares('accumulate', [gradient!, total!], [squares!, index!], at),
  workspaceBytes: ({ inputs: [, gradient] }, target) => sumOf(gradient!, target).bytes,
};

export const foldLowering: Lowering = {
  lower: ({ inputs: [total, part] }, at) =>
    rangesOf(total!, at.target).map((range) => ({
      file: 'optimizer',
      entry: 'fold',
      types: {},
      constants: {},
      shape: [range.size],
      bindings: [sliceOf(total!, range, at), sliceOf(part!, range, at)],
      groups: [range.groups, 1],
    })),
};

export const sumOfSquaresLowering: Lowering = {
  lower: ({ inputs: [x], outputs: [squares], attributes: { index } }, at) =>
    sumSquares('sum_of_squares', [x!], [squares!, index!], at),
  workspaceBytes: ({ inputs: [x] }, target) => sumOf(x!, target).bytes,
};

const logarithm = (beta: number): number => Math.max(Math.log(beta), LOWEST_LOGARITHM);

export const adamwLowering: Lowering = {
  lower: ({ inputs, attributes }, at) => {
    const [parameter, gradient, m, v, squares, ...scalars] = inputs as Value[];
    const { beta1, beta2, eps, weightDecay } = attributes as unknown as AdamWOptions;
    const constants = [logarithm(beta1), logarithm(beta2), 1 - beta1, 1 - beta2, eps, weightDecay];
    return rangesOf(parameter!, at.target).map((range) => ({
      file: 'optimizer',
      entry: 'adamw',
      types: {},
      constants: {},
      shape: [range.size, elementCount(squares!.shape), ...constants.map(f32Word)],
      bindings: [...[parameter, gradient, m, v].map((value) => sliceOf(value!, range, at)), at.of(squares!)],
      scalars: scalars.map((scalar) => at.of(scalar)),
      groups: [range.groups, 1],
    }));
  },
};
