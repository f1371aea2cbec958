import { type LinearTerm, linearDw, linearDx, linear as product } from '#src/program/ops/linear.js';
import type { DType } from '#src/program/types.js';
import {
  activations,
  columns,
  floats,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  rows,
  sumTolerance,
  type Tensor,
  weights,
  zerosLike,
} from './cases.js';

/** y = base + bias + sum_i scale_i x_i M_i, where M_i is W_i^T [in, out] forward and W_i [out, in] backward. */
const sumOfProducts =
  (transposed: boolean): Reference =>
  ({ inputs: [base, x1, weight1, x2, weight2, bias], outputs: [out], attributes }) => {
    const start = base ? base.data.slice() : zerosLike(out!);
    const y = bias ? start.map((value, i) => value + bias.data[i % columns(bias)]!) : start;
    addProduct(y, x1!, weight1!, attributes.scale!, transposed);
    if (x2 && weight2) addProduct(y, x2, weight2, attributes.scale2!, transposed);
    return [y];
  };

function addProduct(y: Float64Array, x: Tensor, weight: Tensor, scale: number, transposed: boolean): void {
  const depth = columns(x);
  const width = transposed ? weight.shape[0]! : columns(weight);
  const [stepK, stepJ] = transposed ? [1, depth] : [width, 1];
  for (let t = 0; t < rows(x); t++) {
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += x.data[t * depth + k]! * weight.data[k * stepK + j * stepJ]!;
      y[t * width + j] = y[t * width + j]! + scale * sum;
    }
  }
}

/** dW = base + scale dy^T x. */
const weightGradient: Reference = ({ inputs: [base, ...factors], outputs: [out], attributes }) => {
  const [dy, x] = factors as [Tensor, Tensor];
  const dw = base ? base.data.slice() : zerosLike(out!);
  const [height, width] = [columns(dy), columns(x)];
  for (let o = 0; o < height; o++) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let t = 0; t < rows(x); t++) sum += dy.data[t * height + o]! * x.data[t * width + i]!;
      dw[o * width + i] = dw[o * width + i]! + attributes.scale! * sum;
    }
  }
  return [dw];
};

type Base = 'no base' | 'base' | 'base in place';

interface Options {
  readonly dtype?: DType;
  readonly base?: Base;
  /** Depth of a second term (0 for none), whose scale is 2. */
  readonly rank?: number;
  readonly scale?: number;
  readonly bias?: boolean;
  /** All weights are this much smaller; 2^-16 makes most of them subnormal in f16. */
  readonly shrink?: number;
}

const describe = ({
  dtype = 'f32',
  base = 'no base',
  rank = 0,
  scale = 1,
  bias = false,
  shrink = 1,
}: Options): string =>
  `${dtype}, ${base}${bias ? ', bias' : ''}${rank ? `, rank ${rank}` : ''}${scale === 1 ? '' : `, scale ${scale}`}${shrink === 1 ? '' : `, weights / ${1 / shrink}`}`;

/** x_i, W_i for a sum of products of depth `depth` and `rank`; `shape` gives a weight's shape from its depth. */
function operands(
  random: Random,
  lead: readonly number[],
  [depth, width]: readonly [number, number],
  { dtype = 'f32', rank = 0, shrink = 1 }: Options,
  shape: (depth: number) => readonly number[],
) {
  return {
    base: activations(random, [...lead, width], shrink),
    x: activations(random, [...lead, depth]),
    weight: weights(random, shape(depth), dtype, shrink / Math.sqrt(depth)),
    x2: activations(random, [...lead, rank || 1]),
    weight2: floats('parameter', shape(rank || 1), () => (shrink * random.normal()) / Math.sqrt(rank || 1)),
  };
}

function productTolerance(depth: number, { rank = 0, scale = 1, shrink = 1 }: Options) {
  const { absolute, relative, reason } = sumTolerance(depth + rank);
  return { absolute: absolute * Math.max(1, scale, rank && 2) * shrink, relative, reason };
}

function forwardCase(lead: readonly number[], out: number, depth: number, options: Options = {}) {
  return opCase({
    op: 'linear',
    label: `${lead.join(' x ')} x ${depth} to ${out}, ${describe(options)}`,
    inputs: (random) => ({
      ...operands(random, lead, [depth, out], options, (d) => [out, d]),
      biasValues: activations(random, [out], options.shrink),
    }),
    build: (b, { base, x, weight, x2, weight2, biasValues }) => {
      const terms: LinearTerm[] = [{ x, weight, scale: options.scale ?? 1 }];
      if (options.rank) terms.push({ x: x2, weight: weight2, scale: 2 });
      const early = options.base === 'base in place' ? product(b, 'early', terms, base) : base;
      const kept = (options.base ?? 'no base') === 'no base' ? null : early;
      product(b, 'y', terms, kept, options.bias ? biasValues : null);
    },
    tolerance: productTolerance(depth, options),
  });
}

function inputGradientCase(lead: readonly number[], out: number, width: number, options: Options = {}) {
  return opCase({
    op: 'linear_dx',
    label: `${lead.join(' x ')} x ${out} back to ${width}, ${describe(options)}`,
    inputs: (random) => operands(random, lead, [out, width], options, (d) => [d, width]),
    build: (b, { base, x, weight, x2, weight2 }) => {
      const terms: LinearTerm[] = [{ x, weight, scale: options.scale ?? 1 }];
      if (options.rank) terms.push({ x: x2, weight: weight2, scale: 2 });
      const early = options.base === 'base in place' ? linearDx(b, 'early', terms, base) : base;
      linearDx(b, 'dx', terms, (options.base ?? 'no base') === 'no base' ? null : early);
    },
    tolerance: productTolerance(out, options),
  });
}

function weightGradientCase(lead: readonly number[], out: number, width: number, base: Base, scale = 1) {
  const count = lead.reduce((a, b) => a * b, 1);
  return opCase({
    op: 'linear_dw',
    label: `${lead.join(' x ')} rows, ${out} x ${width}, ${base}${scale === 1 ? '' : `, scale ${scale}`}`,
    inputs: (random) => ({
      base: activations(random, [out, width]),
      dy: activations(random, [...lead, out], 1 / Math.sqrt(count)),
      x: activations(random, [...lead, width]),
    }),
    build: (b, { base: value, dy, x }) => {
      const early = base === 'base in place' ? linearDw(b, dy, x, scale, value) : value;
      linearDw(b, dy, x, scale, base === 'no base' ? null : early);
    },
    tolerance: productTolerance(count, { scale }),
  });
}

/** Every number of rows with every width; depth, types, base and second term in turn. */
const sweep = [1, 5, 6, 7, 13, 20].flatMap((height, i) =>
  [1, 8, 9, 43, 64, 172, 288, 600].flatMap((width, j) => {
    const n = 8 * i + j;
    const options: Options = {
      dtype: (['f32', 'bf16', 'f16'] as const)[n % 3]!,
      base: (['no base', 'base', 'base in place'] as const)[(i + j) % 3]!,
      rank: [0, 1, 4, 8, 64][n % 5]!,
      scale: [1, 0.5][n % 2]!,
      bias: n % 4 > 1,
    };
    const depth = [1, 7, 8, 43, 172][(i + n) % 5]!;
    return [
      forwardCase([height], width, depth, options),
      inputGradientCase([height], depth, width, { ...options, bias: false }),
      weightGradientCase([height], depth, width, options.base!, options.scale),
    ];
  }),
);

export const linear: OpTable = {
  references: {
    linear: sumOfProducts(true),
    linear_dx: sumOfProducts(false),
    linear_dw: weightGradient,
  },
  cases: [
    ...sweep,
    forwardCase([1], 5, 3, { base: 'base' }),
    forwardCase([3], 7, 43, { rank: 1 }),
    forwardCase([5], 8, 8, { rank: 1, base: 'base' }),
    forwardCase([6], 9, 9, { base: 'base in place' }),
    forwardCase([2, 3], 43, 172, { rank: 4, dtype: 'bf16' }),
    forwardCase([7], 43, 172, { rank: 4, base: 'base in place', dtype: 'f16' }),
    forwardCase([13], 64, 288, { rank: 8, base: 'base' }),
    forwardCase([13], 65, 289, { rank: 64, dtype: 'bf16', scale: 0.5 }),
    forwardCase([300], 8, 600, { scale: 0.25 }),
    forwardCase([300], 172, 64, { rank: 8, base: 'base in place' }),
    forwardCase([301], 203, 600),
    forwardCase([301], 203, 601, { dtype: 'bf16', base: 'base', rank: 8 }),
    forwardCase([97], 257, 1100, { dtype: 'f16', base: 'base in place', rank: 64 }),
    forwardCase([1], 300, 600, { dtype: 'bf16' }),
    forwardCase([2], 129, 513, { dtype: 'f16', base: 'base' }),
    forwardCase([7], 33, 40, { dtype: 'f16', shrink: 2 ** -16 }),
    forwardCase([301], 300, 601, { dtype: 'bf16', bias: true }),
    forwardCase([1030], 7, 5, { base: 'base', bias: true, rank: 8 }),
    // More than a band of tiles of 64 rows; and rows of whole vectors, tiles that are not whole.
    forwardCase([1030], 131, 9, { scale: 0.5 }),
    forwardCase([136], 200, 264, { dtype: 'f16', base: 'base', bias: true, rank: 8, scale: 0.5 }),
    forwardCase([7], 33, 40, { dtype: 'f16', bias: true, base: 'base in place' }),
    // A rank above both sides.
    forwardCase([21], 16, 24, { rank: 40, base: 'base' }),
    inputGradientCase([21], 24, 16, { rank: 40, base: 'base' }),
    inputGradientCase([1], 5, 3, { base: 'base' }),
    inputGradientCase([3], 43, 7, { rank: 1 }),
    inputGradientCase([5], 8, 8, { rank: 1, base: 'base in place' }),
    inputGradientCase([2, 3], 172, 43, { rank: 4, dtype: 'bf16' }),
    inputGradientCase([7], 172, 43, { rank: 4, base: 'base', dtype: 'f16' }),
    inputGradientCase([13], 288, 64, { rank: 64, base: 'base', scale: 0.5 }),
    inputGradientCase([13], 64, 172, { rank: 43, dtype: 'bf16' }),
    inputGradientCase([300], 8, 600, { scale: 0.25, base: 'base in place' }),
    inputGradientCase([301], 600, 203),
    inputGradientCase([301], 601, 203, { dtype: 'bf16', base: 'base', rank: 8 }),
    inputGradientCase([97], 1100, 257, { dtype: 'f16', base: 'base in place', rank: 64 }),
    inputGradientCase([1], 600, 300, { dtype: 'bf16' }),
    inputGradientCase([136], 264, 200, { dtype: 'f16', base: 'base in place', rank: 16 }),
    inputGradientCase([7], 40, 33, { dtype: 'f16', shrink: 2 ** -16 }),
    weightGradientCase([3], 5, 7, 'base'),
    weightGradientCase([2, 3], 8, 43, 'no base', 2),
    weightGradientCase([7], 43, 8, 'base in place'),
    weightGradientCase([13], 64, 172, 'base', 0.5),
    weightGradientCase([300], 8, 600, 'no base', 2),
    weightGradientCase([600], 203, 8, 'base in place', 2),
    weightGradientCase([1030], 172, 131, 'base'),
    // Both sides wide: operands are packed.
    weightGradientCase([1], 129, 129, 'no base'),
    weightGradientCase([5], 131, 260, 'base', 0.5),
    weightGradientCase([600], 257, 193, 'base in place', 2),
    weightGradientCase([2, 129], 385, 302, 'no base'),
    weightGradientCase([264], 200, 136, 'base', 2),
    weightGradientCase([1100], 24, 40, 'base', 2),
  ],
};
