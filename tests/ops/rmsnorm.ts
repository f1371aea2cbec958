import { rmsnorm as norm, rmsnormDx } from '#src/program/ops/rmsnorm.js';
import {
  activations,
  columns,
  floats,
  type OpTable,
  opCase,
  type Reference,
  rows,
  type Tensor,
  weights,
  zerosLike,
} from './cases.js';

const reason = 'a mean over a row and one division, then two products';

/** y = x rstd w, rstd = 1 / sqrt(mean(x^2) + eps). */
const forward: Reference = ({ inputs, outputs: [out], attributes }) => {
  const [x, weight] = inputs as [Tensor, Tensor];
  const width = columns(x);
  const y = zerosLike(out!);
  const rstd = new Float64Array(rows(x));
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
  const width = columns(x);
  const dx = zerosLike(out!);
  for (let t = 0; t < rows(x); t++) {
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

function forwardCase(shape: readonly number[], eps = 1e-5, deviation = 1) {
  return opCase({
    op: 'rmsnorm',
    label: `${shape.join(' x ')}, x about ${deviation}, eps ${eps}`,
    inputs: (random) => ({
      x: activations(random, shape, deviation),
      weight: weights(random, [shape.at(-1)!], 'f32', 1),
    }),
    build: (b, { x, weight }) => norm(b, 'y', x, weight, eps),
    tolerance: { absolute: 0, relative: 1e-6, reason },
  });
}

type Base = 'no base' | 'base' | 'base in place' | 'dy in place';

/** Every row of x has its own size, so that a mixed-up rstd shows. */
function backwardCase(shape: readonly number[], base: Base) {
  const count = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  return opCase({
    op: 'rmsnorm_dx',
    label: `${shape.join(' x ')}, ${base}`,
    inputs: (random) => ({
      base: activations(random, shape),
      dy: activations(random, shape),
      x: activations(random, shape),
      weight: weights(random, [shape.at(-1)!], 'f32', 1),
      rstd: floats('input', [count], () => random.uniform(0.5, 1.5)),
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
  ]),
);

export const rmsnorm: OpTable = {
  references: { rmsnorm: forward, rmsnorm_dx: backward },
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
  ],
};
