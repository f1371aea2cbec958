import {
  type AdamWOptions,
  accumulate,
  adamw as adamwStep,
  fold,
  sumOfSquares,
} from '#src/program/ops/optimizer.js';
import type { Value } from '#src/program/types.js';
import {
  activations,
  EXACT,
  floats,
  type Input,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  scalar,
  type Tensor,
  zerosLike,
} from './cases.js';

const sumReason = 'one f32 addition, and sums in f64 rounded to f32 once, or in f32 in pairs';

const squaresOf = (x: Tensor) => x.data.reduce((sum, value) => sum + value * value, 0);

/** squares with one entry replaced. */
const withEntry = (squares: Tensor, index: number, value: number) => squares.data.with(index, value);

const accumulateReference: Reference = ({ inputs, outputs: [, squares], attributes }) => {
  const [total, gradient] = inputs as [Tensor, Tensor];
  const sum = total.data.map((value, i) => value + gradient.data[i]!);
  return [sum, withEntry(squares!, attributes.index!, squaresOf(gradient))];
};

const foldReference: Reference = ({ inputs }) => {
  const [total, part] = inputs as [Tensor, Tensor];
  return [total.data.map((value, i) => value + part.data[i]!), zerosLike(part)];
};

const sumOfSquaresReference: Reference = ({ inputs: [x], outputs: [squares], attributes }) => [
  withEntry(squares!, attributes.index!, squaresOf(x!)),
];

/** torch.optim.AdamW on the gradient that clip_grad_norm_ leaves. */
const adamwReference: Reference = ({ inputs, attributes }) => {
  const [parameter, gradient, m, v, squares, ...scalars] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const [step, rate, scale, clip] = (scalars as Tensor[]).map(({ data }) => data[0]!) as [
    number,
    number,
    number,
    number,
  ];
  const { beta1, beta2, eps, weightDecay } = attributes as unknown as AdamWOptions;
  const square = squares.data.reduce((a, b) => a + b);
  if (!Number.isFinite(square)) return [parameter.data, zerosLike(gradient), m.data, v.data];
  const norm = scale * Math.sqrt(square);
  const factor = scale * Math.min(1, clip / (norm + 1e-6));
  const g = gradient.data.map((value) => value * factor);
  const newM = m.data.map((value, i) => beta1 * value + (1 - beta1) * g[i]!);
  const newV = v.data.map((value, i) => beta2 * value + (1 - beta2) * g[i]! ** 2);
  const updated = parameter.data.map((value, i) => {
    const denominator = Math.sqrt(newV[i]! / (1 - beta2 ** step)) + eps;
    return value * (1 - rate * weightDecay) - (rate * newM[i]!) / (1 - beta1 ** step) / denominator;
  });
  return [updated, zerosLike(gradient), newM, newV];
};

/** `squares` has three entries, of which only number 1 may change. */
const accumulateCase = (shape: readonly number[]) =>
  opCase({
    op: 'accumulate',
    label: shape.join(' x '),
    inputs: (random) => ({
      total: floats('gradient', shape, () => random.normal()),
      gradient: activations(random, shape),
      squares: floats('state', [3], () => random.normal()),
    }),
    build: (b, { total, gradient, squares }) => accumulate(b, total, gradient, squares, 1),
    tolerance: { absolute: 0, relative: 2 ** -23, reason: sumReason },
  });

const foldCase = (shape: readonly number[]) =>
  opCase({
    op: 'fold',
    label: shape.join(' x '),
    inputs: (random) => ({
      total: floats('gradient', shape, () => random.normal()),
      part: floats('gradient', shape, () => random.normal()),
    }),
    build: (b, { total, part }) => fold(b, total, part),
    tolerance: { absolute: 0, relative: 2 ** -24, reason: 'one f32 addition' },
  });

const sumOfSquaresCase = (shape: readonly number[]) =>
  opCase({
    op: 'sum_of_squares',
    label: shape.join(' x '),
    inputs: (random) => ({
      x: floats('gradient', shape, () => random.normal()),
      squares: floats('state', [3], () => random.normal()),
    }),
    build: (b, { x, squares }) => sumOfSquares(b, x, squares, 2),
    tolerance: { absolute: 0, relative: 2 ** -23, reason: sumReason },
  });

/** The gradient overflowed, here or elsewhere: all that happens is that it is cleared. */
const skippedCase = (shape: readonly number[], square: number) =>
  opCase({
    op: 'adamw',
    label: `${shape.join(' x ')}, a square of ${square}`,
    inputs: (random) => ({
      parameter: floats('parameter', shape, () => random.normal()),
      gradient: floats('gradient', shape, () => random.normal()),
      m: floats('state', shape, () => random.normal()),
      v: floats('state', shape, () => random.uniform(0.5, 2)),
      squares: floats('state', [300], () => (random.integer(9) === 0 ? square : 1)),
      ...{ step: scalar(3), learningRate: scalar(0.01), scale: scalar(0.125), clip: scalar(1) },
    }),
    build: (b, { parameter, gradient, m, v, squares, ...scalars }) => {
      adamwStep(b, { parameter, gradient, m, v }, squares, scalars, { ...BETAS, weightDecay: 0.1 });
    },
    tolerance: EXACT,
  });

interface Options {
  readonly clip?: number;
  readonly weightDecay?: number;
  readonly firstStep?: number;
  readonly deviation?: number;
  /** What the second step's gradient has among its elements. */
  readonly overflow?: number;
}

const STEPS = 4;
const BETAS = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** Each step adds a gradient to the cleared one, notes its norm beside that of another parameter, and updates. */
function adamwCase(shape: readonly number[], options: Options = {}) {
  const { clip = Number.POSITIVE_INFINITY, weightDecay = 0, firstStep = 1, deviation = 100 } = options;
  const gradientOf = (random: Random, step: number): Input => {
    const gradient = activations(random, shape, deviation);
    if (step === 1 && options.overflow !== undefined) gradient.data.fill(options.overflow, -1);
    return gradient;
  };
  return opCase({
    op: 'adamw',
    label: `${shape.join(' x ')}, steps from ${firstStep}, clip ${clip}, decay ${weightDecay}, gradients about ${deviation}${options.overflow === undefined ? '' : `, once ${options.overflow}`}`,
    inputs: (random): Record<string, Input> => ({
      parameter: floats('parameter', shape, () => random.normal()),
      gradient: floats('gradient', shape, () => 0),
      m: floats('state', shape, () => (firstStep === 1 ? 0 : random.normal())),
      v: floats('state', shape, () => (firstStep === 1 ? 0 : random.uniform(0.5, 2))),
      squares: floats('state', [300], () => 1e4),
      learningRate: scalar(0.01),
      scale: scalar(0.125),
      clip: scalar(clip),
      ...Object.fromEntries(
        Array.from({ length: STEPS }, (_, i) => [
          [`step${i}`, scalar(firstStep + i)],
          [`gradient${i}`, gradientOf(random, i)],
        ]).flat(),
      ),
    }),
    build: (b, values) => {
      const get = (name: string): Value => values[name]!;
      const [parameter, gradient, squares] = [get('parameter'), get('gradient'), get('squares')];
      const target = { parameter, gradient, m: get('m'), v: get('v') };
      const common = { learningRate: get('learningRate'), scale: get('scale'), clip: get('clip') };
      for (let i = 0; i < STEPS; i++) {
        accumulate(b, gradient, get(`gradient${i}`), squares, 0);
        adamwStep(b, target, squares, { ...common, step: get(`step${i}`) }, { ...BETAS, weightDecay });
      }
    },
    tolerance: {
      absolute: 5e-7,
      relative: 2e-6,
      reason: `about ten f32 operations in each of ${STEPS} steps; terms of m, of the order of 1, may cancel`,
    },
  });
}

export const optimizer: OpTable = {
  references: {
    accumulate: accumulateReference,
    fold: foldReference,
    sum_of_squares: sumOfSquaresReference,
    adamw: adamwReference,
  },
  cases: [
    accumulateCase([1]),
    accumulateCase([3, 1]),
    accumulateCase([7, 43]),
    accumulateCase([8, 600]),
    accumulateCase([257, 301]),
    foldCase([1]),
    foldCase([7, 43]),
    foldCase([257, 301]),
    sumOfSquaresCase([1]),
    sumOfSquaresCase([5]),
    sumOfSquaresCase([7, 43]),
    sumOfSquaresCase([257, 301]),
    adamwCase([1]),
    adamwCase([7], { weightDecay: 0.1 }),
    adamwCase([43, 8], { clip: 100 }),
    adamwCase([5, 9], { clip: 1e9, weightDecay: 0.1 }),
    adamwCase([8, 64], { firstStep: 1000, clip: 100 }),
    adamwCase([3, 43], { deviation: 0, weightDecay: 0.1 }),
    adamwCase([131, 301], { clip: 1000 }),
    adamwCase([43, 8], { overflow: Number.NaN }),
    adamwCase([131, 301], { overflow: Number.POSITIVE_INFINITY, clip: 1000 }),
    // The complements of powers of beta, to where they are 1.
    ...[2, 9, 100, 690, 1e6].map((firstStep) => adamwCase([7], { firstStep, clip: 100 })),
    skippedCase([43, 8], Number.NaN),
    skippedCase([7], Number.POSITIVE_INFINITY),
    skippedCase([131, 301], Number.POSITIVE_INFINITY),
  ],
};
