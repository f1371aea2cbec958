import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Attributes, elementCount } from '#src/program/types.js';
import { Random, type Tensor } from './cases.js';
import { centralDifferences, relativeError } from './differences.js';
import { references } from './index.js';

const random = new Random(20);

const tensor = (shape: readonly number[], make: (i: number) => number = () => random.normal()): Tensor => ({
  shape,
  data: Float64Array.from({ length: elementCount(shape) }, (_, i) => make(i)),
});

/** The outputs of an op, whose shapes are given. */
const apply = (
  op: string,
  inputs: readonly (Tensor | null)[],
  shapes: readonly (readonly number[])[],
  attributes: Attributes = {},
): Tensor[] => {
  const outputs = shapes.map((shape) => tensor(shape, () => Number.NaN));
  return references[op]!({ inputs, outputs, attributes }).map((data, i) => ({ shape: shapes[i]!, data }));
};

type Operands = Record<string, Tensor>;

/** Holds each gradient that `backward` gives to central differences of sum(dy forward). */
function checkGradients<O extends Operands>(
  name: string,
  operands: O,
  forward: (operands: O) => Tensor,
  backward: (operands: O, dy: Tensor) => Partial<Record<keyof O, Tensor>>,
): void {
  test(`${name}: the gradient matches finite differences`, () => {
    const dy = tensor(forward(operands).shape);
    const loss = () => forward(operands).data.reduce((sum, y, i) => sum + dy.data[i]! * y, 0);
    const gradients = Object.entries<Tensor | undefined>(backward(operands, dy));
    assert.ok(gradients.length > 0);
    for (const [key, gradient] of gradients) {
      const error = relativeError(gradient!.data, centralDifferences(loss, operands[key]!.data));
      assert.ok(error < 1e-6, `d_${key} is off by ${error} of its size`);
    }
  });
}

const scales = { scale: 0.7, scale2: -1.3 };
checkGradients(
  'linear',
  {
    ...{ base: tensor([3, 4]), bias: tensor([4]) },
    ...{ x: tensor([3, 5]), w: tensor([4, 5]), x2: tensor([3, 2]), w2: tensor([4, 2]) },
  },
  ({ base, bias, x, w, x2, w2 }) => apply('linear', [base, x, w, x2, w2, bias], [base.shape], scales)[0]!,
  ({ x, w, x2, w2 }, dy) => ({
    base: dy,
    bias: apply('column_sum', [null, dy], [[4]])[0]!,
    x: apply('linear_dx', [null, dy, w, null, null], [x.shape], { scale: 0.7, scale2: 1 })[0]!,
    x2: apply('linear_dx', [null, dy, w2, null, null], [x2.shape], { scale: -1.3, scale2: 1 })[0]!,
    w: apply('linear_dw', [null, dy, x], [w.shape], { scale: 0.7 })[0]!,
    w2: apply('linear_dw', [null, dy, x2], [w2.shape], { scale: -1.3 })[0]!,
  }),
);

checkGradients(
  'two linears of one x, with a residual',
  { x: tensor([3, 5]), w: tensor([4, 5]), w2: tensor([5, 5]) },
  ({ x, w, w2 }) => {
    const y = apply('linear', [null, x, w, null, null], [[3, 4]], scales)[0]!;
    const z = apply('linear', [x, x, w2, null, null], [x.shape], { scale: -1.3 })[0]!;
    return { shape: [27], data: Float64Array.from([...y.data, ...z.data]) };
  },
  ({ x, w, w2 }, { data }) => {
    const dy = { shape: [3, 4], data: data.slice(0, 12) };
    const dz = { shape: x.shape, data: data.slice(12) };
    return { x: apply('linear_dx', [dz, dy, w, dz, w2], [x.shape], scales)[0]! };
  },
);

for (const [name, width] of [
  ['rmsnorm', 6],
  ['rmsnorm over groups of columns', 3],
] as const) {
  const norm = (x: Tensor, weight: Tensor) =>
    apply('rmsnorm', [x, weight], [x.shape, [24 / width]], { eps: 1e-2 });
  checkGradients(
    name,
    { x: tensor([4, 6]), weight: tensor([width]) },
    ({ x, weight }) => norm(x, weight)[0]!,
    ({ x, weight }, dy) => {
      const rstd = norm(x, weight)[1]!;
      return {
        x: apply('rmsnorm_dx', [null, dy, x, weight, rstd], [x.shape])[0]!,
        weight: apply('rmsnorm_dw', [null, dy, x, rstd], [weight.shape])[0]!,
      };
    },
  );
}

const tokens = tensor([6], (i) => [3, 0, 3, 4, 3, 0][i]!);
checkGradients(
  'embed',
  { table: tensor([5, 3]) },
  ({ table }) => apply('embed', [tokens, table], [[6, 3]])[0]!,
  ({ table }, dy) => ({ table: apply('embed_dw', [null, tokens, dy], [table.shape])[0]! }),
);

const positions = tensor([6], (i) => [0, 5, 2, 1, 1, 4][i]!);
const table = tensor([6, 4], (i) => [Math.cos, Math.sin][Math.floor((i % 4) / 2)]!(i - (i % 2)));
checkGradients(
  'rope',
  { x: tensor([6, 12]) },
  ({ x }) => apply('rope', [x, positions, table], [x.shape], { direction: 1 })[0]!,
  ({ x }, dy) => ({ x: apply('rope', [dy, positions, table], [x.shape], { direction: -1 })[0]! }),
);

const places = tensor([10], (i) => [0, 1, 2, 0, 1, 0, 0, 1, 2, 3][i]!);
const heads = { sequence: 5, heads: 4, keyValueHeads: 2, headDim: 3 };
checkGradients(
  'attention',
  { q: tensor([10, 12]), k: tensor([10, 6]), v: tensor([10, 6]) },
  ({ q, k, v }) => apply('attention', [q, k, v, places], [q.shape, [10, 4]], heads)[0]!,
  ({ q, k, v }, dy) => {
    const [o, lse] = apply('attention', [q, k, v, places], [q.shape, [10, 4]], heads);
    const shapes = [q, k, v].map(({ shape }) => shape);
    const [dq, dk, dv] = apply('attention_dx', [q, k, v, places, o!, lse!, dy], shapes, heads);
    return { q: dq!, k: dk!, v: dv! };
  },
);

checkGradients(
  'swiglu',
  { gate: tensor([3, 5], () => 3 * random.normal()), up: tensor([3, 5]) },
  ({ gate, up }) => apply('swiglu', [gate, up], [gate.shape])[0]!,
  ({ gate, up }, dy) => {
    const [dGate, dUp] = apply('swiglu_dx', [dy, gate, up], [gate.shape, up.shape]);
    return { gate: dGate!, up: dUp! };
  },
);

const seedStep = tensor([2], (i) => i + 7);
const mask = { p: 0.4, site: 3 };
checkGradients(
  'dropout',
  { x: tensor([6, 7]) },
  ({ x }) => apply('dropout', [x, seedStep, positions], [x.shape], mask)[0]!,
  ({ x }, dy) => ({ x: apply('dropout', [dy, seedStep, positions], [x.shape], mask)[0]! }),
);

for (const [alpha, temperature, teacherVocabulary] of [
  [0, 1, 0],
  [1, 2, 11],
  [0.3, 2, 7],
  [0.3, 0.5, 16],
] as const) {
  const teacher = teacherVocabulary ? [tensor([4, 3]), tensor([teacherVocabulary, 3])] : [null, null];
  const labels = tensor([4], (i) => [10, -100, 0, 3][i]!);
  const loss = (hidden: Tensor, head: Tensor): Tensor[] => {
    const inputs = [hidden, head, ...teacher, labels];
    return apply('joint_loss_head', inputs, [[4], [4], hidden.shape], { alpha, temperature });
  };
  checkGradients(
    `joint_loss_head, alpha ${alpha}, temperature ${temperature}, ${teacherVocabulary} teacher entries`,
    { hidden: tensor([4, 5]), head: tensor([11, 5]) },
    ({ hidden, head }) => {
      const [ce, kl] = loss(hidden, head);
      return { shape: [4], data: ce!.data.map((value, t) => alpha * kl!.data[t]! + (1 - alpha) * value) };
    },
    ({ hidden, head }, dy) => {
      const each = loss(hidden, head)[2]!.data.map((value, i) => value * dy.data[Math.floor(i / 5)]!);
      return { hidden: { shape: hidden.shape, data: each } };
    },
  );
}

test('joint_loss_head: even logits cost ln V, a teacher that is the student costs 0, no label costs nothing', () => {
  const head = tensor([7, 3], () => 0);
  const labels = tensor([2], (i) => [4, -100][i]!);
  const attributes = { alpha: 0.5, temperature: 2 };
  const even = apply('joint_loss_head', [tensor([2, 3]), head, null, null, labels], [[2], [2]], attributes);
  assert.ok(Math.abs(even[0]!.data[0]! - Math.log(7)) < 1e-14);
  assert.is(even[0]!.data[1], 0);
  const [hidden, same] = [tensor([2, 3]), tensor([7, 3])];
  const [, kl] = apply('joint_loss_head', [hidden, same, hidden, same, labels], [[2], [2]], attributes);
  assert.equal([...kl!.data], [0, 0]);
});

test('attention: the first token of a document sees itself alone, equal keys average the values', () => {
  const [q, k, v] = [tensor([5, 12]), tensor([5, 6], (i) => i % 3), tensor([5, 6])];
  const documents = tensor([5], (i) => [0, 1, 0, 1, 2][i]!);
  const [o] = apply('attention', [q, k, v, documents], [q.shape, [5, 4]], heads);
  assert.equal([...o!.data.slice(24, 30)], [...v.data.slice(12, 15), ...v.data.slice(12, 15)]);
  const mean = (v.data[12]! + v.data[18]! + v.data[24]!) / 3;
  assert.ok(Math.abs(o!.data[48]! - mean) < 1e-14);
});

test('adamw: under a constant gradient each step is the learning rate, in the direction of its sign', () => {
  const shape = [4];
  const gradient = tensor(shape);
  for (const clip of [Number.POSITIVE_INFINITY, 0.1]) {
    let [parameter, m, v] = [tensor(shape), tensor(shape, () => 0), tensor(shape, () => 0)];
    for (const step of [1, 2, 3]) {
      const scalars = [100, step, 0.01, 0.5, clip].map((value) => tensor([1], () => value));
      const options = { beta1: 0.9, beta2: 0.999, eps: 0, weightDecay: 0.5 };
      const outputs = apply(
        'adamw',
        [parameter, gradient, m, v, ...scalars],
        [shape, shape, shape, shape],
        options,
      );
      const expected = parameter.data.map(
        (p, i) => p * (1 - 0.01 * 0.5) - 0.01 * Math.sign(gradient.data[i]!),
      );
      assert.ok(relativeError(outputs[0]!.data, expected) < 1e-13);
      assert.equal([...outputs[1]!.data], [0, 0, 0, 0]);
      [parameter, , m, v] = outputs as [Tensor, Tensor, Tensor, Tensor];
    }
  }
});

test('dropout: keeps 1 - p of the elements, independently of place, column, seed, step and site', () => {
  const [T, D] = [300, 43];
  const ones = tensor([T, D], () => 1);
  const masks = [
    [5, 1, 0],
    [6, 1, 0],
    [5, 2, 0],
    [5, 1, 1],
  ].map(([seed, step, site]) => {
    const key = tensor([2], (i) => [seed!, step!][i]!);
    const place = tensor([T], (i) => 128 + i);
    return apply('dropout', [ones, key, place], [ones.shape], { p: 0.5, site: site! })[0]!.data.map(
      (y) => y - 1,
    );
  });
  // The mean of n fair signs has the deviation 1 / sqrt(n).
  const limit = 4.5 / Math.sqrt(T * D);
  const correlation = (a: Float64Array, b: Float64Array) =>
    Math.abs(a.reduce((sum, sign, i) => sum + sign * (b[i] ?? 0), 0)) / (T * D);
  const [first, ...others] = masks as [Float64Array, ...Float64Array[]];
  for (const [name, other] of [
    ['always', first.map(() => 1)],
    ['the next column', first.slice(1)],
    ['the next place', first.slice(D)],
    ...others.map((mask, i) => [`another ${['seed', 'step', 'site'][i]}`, mask] as const),
  ] as const) {
    assert.ok(correlation(first, other) < limit, `the mask is correlated with that of ${name}`);
  }
});

test.run();
