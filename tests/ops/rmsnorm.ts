import { rmsnorm as norm, rmsnormDw, rmsnormDx } from '#src/program/ops/rmsnorm.js';
import {
  activations,
  columns,
  floats,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  sumTolerance,
  type Tensor,
  weights,
  zerosLike,
} from './cases.js';

const reason = 'a mean over a row and one division, then two products';

/** y = x rstd w, rstd = 1 / sqrt(mean(x^2) + eps), each group of as many numbers as w has on its own. */
const forward: Reference = ({ inputs, outputs: [out], attributes }) => {
  const [x, weight] = inputs as [Tensor, Tensor];
  const width = columns(weight);
  const y = zerosLike(out!);
  const rstd = new Float64Array(x.data.length / width);
  for (let t = 0; t < rstd.length; t++) {
    let squares = 0;
    for (let j = 0; j < width; j++) squares += x.data[t * width + j]! ** 2;
    rstd[t] = 1 / Math.sqrt(squares / width + attributes.eps!);
    for (let j = 0; j < width; j++) y[t * width + j] = x.data[t * width + j]! * rstd[t]! * weight.data[j]!;
  }
  return [y, rstd];
};

/** dx = base + rstd (w dy - x rstd^2 mean(w dy x)). */
const backward: Reference = ({ inputs: [base, ...others], outputs: [out] }) => {
  const [dy, x, weight, rstd] = others as [Tensor, Tensor, Tensor, Tensor];
  const width = columns(weight);
  const dx = zerosLike(out!);
  for (let t = 0; t < rstd.data.length; t++) {
    const r = rstd.data[t]!;
    let mean = 0;
    for (let j = 0; j < width; j++) {
      mean += (weight.data[j]! * dy.data[t * width + j]! * x.data[t * width + j]!) / width;
    }
    for (let j = 0; j < width; j++) {
      const i = t * width + j;
      dx[i] = (base?.data[i] ?? 0) + r * (weight.data[j]! * dy.data[i]! - x.data[i]! * r * r * mean);
    }
  }
  return [dx];
};

/** dw = base + sum over rows of dy x rstd. */
const weightGradient: Reference = ({ inputs: [base, ...others], outputs: [out] }) => {
  const [dy, x, rstd] = others as [Tensor, Tensor, Tensor];
  const dw = base ? base.data.slice() : zerosLike(out!);
  const width = dw.length;
  x.data.forEach((value, i) => {
    dw[i % width]! += dy.data[i]! * value * rstd.data[Math.floor(i / width)]!;
  });
  return [dw];
};

const grouped = (shape: readonly number[], width: number): string =>
  shape.join(' x ') + (width === shape.at(-1) ? '' : ` in groups of ${width}`);

function forwardCase(shape: readonly number[], eps = 1e-5, deviation = 1, width = shape.at(-1)!) {
  return opCase({
    op: 'rmsnorm',
    label: `${grouped(shape, width)}, x about ${deviation}, eps ${eps}`,
    inputs: (random) => ({
      x: activations(random, shape, deviation),
      weight: weights(random, [width], 'f32', 1),
    }),
    build: (b, { x, weight }) => norm(b, 'y', x, weight, eps),
    tolerance: { absolute: 0, relative: 1e-6, reason },
  });
}

type Base = 'no base' | 'base' | 'base in place' | 'dy in place';

const groupsOf = (shape: readonly number[], width: number): number =>
  shape.reduce((a, b) => a * b, 1) / width;

/** Every group of x has its own size, so that a mixed-up rstd shows. */
const rstds = (random: Random, shape: readonly number[], width: number) =>
  floats('input', [groupsOf(shape, width)], () => random.uniform(0.5, 1.5));

function backwardCase(shape: readonly number[], base: Base, width = shape.at(-1)!) {
  return opCase({
    op: 'rmsnorm_dx',
    label: `${grouped(shape, width)}, ${base}`,
    inputs: (random) => ({
      base: activations(random, shape),
      dy: activations(random, shape),
      x: activations(random, shape),
      weight: weights(random, [width], 'f32', 1),
      rstd: rstds(random, shape, width),
    }),
    build: (b, { base: value, dy, x, weight, rstd }) => {
      const early = () => rmsnormDx(b, dy, x, weight, rstd, null);
      if (base === 'dy in place') rmsnormDx(b, early(), x, weight, rstd, null);
      else if (base === 'base in place') rmsnormDx(b, dy, x, weight, rstd, early());
      else rmsnormDx(b, dy, x, weight, rstd, base === 'base' ? value : null);
    },
    tolerance: { absolute: 4e-6, relative: 1e-6, reason: `${reason}; the two terms of dx may cancel` },
  });
}

function weightGradientCase(
  shape: readonly number[],
  base: Exclude<Base, 'dy in place'>,
  width = shape.at(-1)!,
) {
  const count = groupsOf(shape, width);
  return opCase({
    op: 'rmsnorm_dw',
    label: `${grouped(shape, width)}, ${base}`,
    inputs: (random) => ({
      base: activations(random, [width]),
      dy: activations(random, shape, 1 / Math.sqrt(count)),
      x: activations(random, shape),
      rstd: rstds(random, shape, width),
    }),
    build: (b, { base: value, dy, x, rstd }) => {
      const early = base === 'base in place' ? rmsnormDw(b, dy, x, rstd, value) : value;
      rmsnormDw(b, dy, x, rstd, base === 'no base' ? null : early);
    },
    tolerance: sumTolerance(count),
  });
}

const zeroRows = opCase({
  op: 'rmsnorm',
  label: '5 x 43 zeros',
  inputs: (random) => ({
    x: floats('input', [5, 43], () => 0),
    weight: weights(random, [43], 'f32', 1),
  }),
  build: (b, { x, weight }) => norm(b, 'y', x, weight, 1e-6),
  tolerance: { absolute: 0, relative: 1e-6, reason },
});

const BASES: Base[] = ['no base', 'base', 'base in place', 'dy in place'];

const sweep = [1, 5, 7, 13, 300].flatMap((height, i) =>
  [1, 3, 8, 43, 64, 172, 288].flatMap((width, j) => [
    forwardCase([height, width]),
    backwardCase([height, width], BASES[(i + j) % BASES.length]!),
    weightGradientCase([height, width], (['no base', 'base', 'base in place'] as const)[(i + j) % 3]!),
  ]),
);

export const rmsnorm: OpTable = {
  references: { rmsnorm: forward, rmsnorm_dx: backward, rmsnorm_dw: weightGradient },
  cases: [
    ...sweep,
    forwardCase([2, 3, 43]),
    forwardCase([13, 172], 1e-6),
    forwardCase([6, 288], 1e-5, 1e4),
    forwardCase([7, 288], 1e-5, 1e-4),
    forwardCase([5, 2049]),
    zeroRows,
    backwardCase([2, 3, 43], 'base'),
    backwardCase([70, 288], 'base in place'),
    backwardCase([5, 2049], 'base'),
    weightGradientCase([2, 3, 43], 'base'),
    weightGradientCase([5, 2049], 'no base'),
    weightGradientCase([20011, 8], 'base in place'),
    forwardCase([7, 12], 1e-6, 1, 3),
    forwardCase([2, 3, 86], 1e-6, 1, 43),
    forwardCase([301, 512], 1e-6, 1, 128),
    backwardCase([5, 12], 'no base', 3),
    backwardCase([2, 3, 86], 'base', 43),
    backwardCase([70, 512], 'base in place', 128),
    backwardCase([13, 320], 'dy in place', 64),
    weightGradientCase([5, 12], 'no base', 3),
    weightGradientCase([2, 3, 86], 'base', 43),
    weightGradientCase([301, 512], 'base in place', 128),
  ],
};
