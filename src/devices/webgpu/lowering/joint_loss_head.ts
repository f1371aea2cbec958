import { lossOutputs } from '../../../program/ops/joint_loss_head.js';
import { type Call, columns, rows, type Value } from '../../../program/types.js';
import { rowThreads } from './grid.js';
import { type LeftFactor, leftFactor, type RowLabels, rightFactor } from './linearProduct.js';
import { productDispatches } from './linearVariants.js';
import {
  type Dispatch,
  f32Word,
  floatType,
  type Lowering,
  type Operands,
  type Region,
  roundUp,
  type Target,
} from './lowering.js';
import { regionOfRows, rowRanges } from './rowRanges.js';

/** Logits of one model for a chunk of tokens take at most this much: 256 tokens of a vocabulary of 128 k. */
const LOGITS_BYTES = 128 * 2 ** 20;
/** kernels/linear.wgsl: TILE_M; a chunk of whole tiles wastes nothing. */
const TILE = 64;
/** Where a binding may begin. */
const ALIGNMENT = 256;

type Objective = Readonly<Record<'alpha' | 'temperature' | 'divergence' | 'beta', number>>;

/** Tokens whose hidden states, of 16 or 32 bits, end where a binding may begin; any number where none need to. */
function tokenStep(call: Call): number {
  if (!lossOutputs(call).dHead) return 1;
  let step = 1;
  while ((step * columns(call.inputs[0]!) * 2) % ALIGNMENT !== 0) step *= 2;
  return step;
}

/** Sizes of a call, from shapes and limits only. `shared` is 0 without a teacher. */
function sizesOf(call: Call, target: Target) {
  const [hidden, head, , teacherHead] = call.inputs;
  const tokens = rows(hidden!);
  const vocabulary = rows(head!);
  const shared = teacherHead ? Math.min(vocabulary, rows(teacherHead)) : 0;
  const fit = Math.floor(Math.min(LOGITS_BYTES, target.bindingBytes) / (vocabulary * 4));
  const step = tokenStep(call);
  const unit = fit < TILE ? step : Math.max(step, TILE);
  const most = Math.max(step, fit - (fit % unit));
  const chunk = Math.min(tokens, most, roundUp(tokens / Math.ceil(tokens / most), unit));
  const studentBytes = roundUp(chunk * vocabulary * 4, ALIGNMENT);
  return { tokens, vocabulary, shared, chunk, studentBytes, bytes: studentBytes + chunk * shared * 4 };
}

/** `count` tokens from `first` on, their labels, and their logits: zs [count, vocabulary], zt [count, shared]. */
interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly labels: RowLabels;
  readonly vocabulary: number;
  readonly shared: number;
  readonly zs: Region;
  readonly zt: Region | null;
}

export const jointLossHeadLowering: Lowering = {
  lower(call, at): Dispatch[] {
    const [hidden, head, teacherHidden, teacherHead] = call.inputs;
    const { dHidden, dHead, argMax } = lossOutputs(call);
    return chunks(call, at).flatMap((chunk) => {
      const { vocabulary, shared, zs, zt } = chunk;
      return [
        ...logits(hidden!, head!, chunk, vocabulary, zs, at),
        ...(zt ? logits(teacherHidden!, teacherHead!, chunk, shared, zt, at) : []),
        ...(argMax ? [largestLogits(call, argMax, chunk, at)] : []),
        lossRows(call, chunk, at),
        ...(dHidden ? hiddenGradient(head!, dHidden, chunk, at) : []),
        ...(dHead ? headGradient(hidden!, dHead, chunk, at) : []),
      ];
    });
  },
  workspaceBytes: (call, target) => sizesOf(call, target).bytes,
};

function chunks(call: Call, at: Operands): Chunk[] {
  const { target, workspace } = at;
  const region = at.of(call.inputs[4]!);
  const { tokens, vocabulary, shared, chunk, studentBytes } = sizesOf(call, target);
  return Array.from({ length: Math.ceil(tokens / chunk) }, (_, i) => {
    const first = i * chunk;
    const count = Math.min(chunk, tokens - first);
    const zs = { ...workspace, bytes: count * vocabulary * 4 };
    const zt = { ...workspace, offset: workspace.offset + studentBytes, bytes: count * shared * 4 };
    const labels = { region, first };
    return { first, count, labels, vocabulary, shared, zs, zt: shared > 0 ? zt : null };
  });
}

/** z [count, entries] = h W^T of tokens that have a label, over the first `entries` of the vocabulary. */
function logits(
  hidden: Value,
  head: Value,
  { first, count, labels }: Chunk,
  entries: number,
  z: Region,
  at: Operands,
): Dispatch[] {
  const x = leftFactor(hidden, at, true, first);
  const w = rightFactor(head, at, true, entries);
  const terms = [{ x, w, depth: columns(hidden), scale: 1 }];
  const y = { base: null, y: z, type: 'f32' as const, first: 0, stride: entries };
  return productDispatches({ m: count, n: entries, ...y, terms, labels }, at.target);
}

/** The entry of each token's largest logit. */
function largestLogits(call: Call, argMax: Value, chunk: Chunk, at: Operands): Dispatch {
  const { first, count, vocabulary, zs } = chunk;
  return {
    file: 'joint_loss_head',
    entry: 'joint_loss_arg_max',
    types: {},
    constants: { THREADS: rowThreads(vocabulary) },
    shape: [first, vocabulary],
    bindings: [at.of(call.inputs[4]!), zs, at.of(argMax)],
    groups: [count, 1],
  };
}

/** Losses of the chunk's tokens; the student's logits become their gradient if there is one. */
function lossRows(call: Call, chunk: Chunk, at: Operands): Dispatch {
  const [ce, kl] = call.outputs;
  const { dHidden } = lossOutputs(call);
  const [labels, lossScale] = call.inputs.slice(4);
  const { first, count, vocabulary, shared, zs, zt } = chunk;
  const { alpha, temperature, divergence, beta } = call.attributes as Objective;
  const factors = [temperature, 1 / temperature, 1 - alpha, alpha, beta];
  return {
    file: 'joint_loss_head',
    entry: 'joint_loss_rows',
    types: {},
    constants: {
      TEACHER: zt ? 1 : 0,
      GRADIENT: dHidden ? 1 : 0,
      DIVERGENCE: divergence,
      SCALED: lossScale ? 1 : 0,
      THREADS: rowThreads(vocabulary),
    },
    shape: [first, vocabulary, shared, ...factors.map(f32Word)],
    bindings: [at.of(labels!), zs, zt, at.of(ce!), at.of(kl!)],
    // Something must be bound in its place.
    scalars: [lossScale ? at.of(lossScale) : { ...at.of(labels!), bytes: 4 }],
    groups: [count, 1],
  };
}

/** d_hidden = G W, G [count, vocabulary] in place of the logits. */
function hiddenGradient(head: Value, dHidden: Value, chunk: Chunk, at: Operands): Dispatch[] {
  const { first, count, labels, vocabulary, zs } = chunk;
  const x: LeftFactor = { region: zs, type: 'f32', first: 0, stride: vocabulary, alongK: true };
  const terms = [{ x, w: rightFactor(head, at, false), depth: vocabulary, scale: 1 }];
  const width = columns(dHidden);
  const y = {
    base: null,
    y: at.of(dHidden),
    type: floatType(dHidden, at),
    first: first * width,
    stride: width,
  };
  return productDispatches({ m: count, n: width, ...y, terms, labels }, at.target);
}

/** d_head = [the chunks before +] G^T h, in ranges of its rows where one binding does not show it whole. */
function headGradient(hidden: Value, dHead: Value, chunk: Chunk, at: Operands): Dispatch[] {
  const { first, count, vocabulary, zs } = chunk;
  const states = { ...rightFactor(hidden, at, false), rows: count };
  const w = { ...states, region: regionOfRows(hidden, { first, count }, at) };
  return rowRanges(dHead, at).flatMap((range) => {
    const x: LeftFactor = { region: zs, type: 'f32', first: range.first, stride: vocabulary, alongK: false };
    const y = regionOfRows(dHead, range, at);
    const out = { base: first > 0 ? y : null, y, type: floatType(dHead, at), first: 0 };
    const shape = { m: range.count, n: columns(dHead), stride: columns(dHead) };
    return productDispatches({ ...shape, ...out, terms: [{ x, w, depth: count, scale: 1 }] }, at.target);
  });
}
