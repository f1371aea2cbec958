import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Builder } from '#src/program/builder.js';
import { addGradients } from '#src/program/gradients.js';
import { add } from '#src/program/ops/add.js';
import { attention } from '#src/program/ops/attention.js';
import { dropout } from '#src/program/ops/dropout.js';
import { embed } from '#src/program/ops/embed.js';
import { jointLossHead } from '#src/program/ops/joint_loss_head.js';
import { linear } from '#src/program/ops/linear.js';
import { rmsnorm } from '#src/program/ops/rmsnorm.js';
import { rope } from '#src/program/ops/rope.js';
import { swiglu } from '#src/program/ops/swiglu.js';
import { type Call, elementCount, type Module, type Role, type Value } from '#src/program/types.js';
import { Random } from '../ops/cases.js';
import { centralDifferences, relativeError } from '../ops/differences.js';
import { Interpreter } from './interpreter.js';

const [TOKENS, WIDTH, VOCABULARY, RANK, ALPHA] = [6, 4, 7, 2, 0.6];
const random = new Random(3);

/** A small model: its values and what the host writes into them. */
class Model {
  readonly b = new Builder();
  readonly data = new Map<Value, Float64Array>();

  /** Normal numbers unless told, small enough that no softmax saturates. */
  value(
    role: Role,
    name: string,
    shape: readonly number[],
    make: (i: number) => number = () => 0.6 * random.normal(),
  ) {
    const value = this.b.value(role, name, shape);
    this.data.set(
      value,
      Float64Array.from({ length: elementCount(shape) }, (_, i) => make(i)),
    );
    return value;
  }

  /** y = base + x W^T + 1.5 (drop(x) A^T) B^T, with W frozen. */
  lora(name: string, x: Value, out: number, { base = null, drop = (v) => v }: LoraOptions = {}): Value {
    const width = x.shape.at(-1)!;
    const weight = this.value('weight', `${name}.weight`, [out, width]);
    const a = this.value('parameter', `${name}.A`, [RANK, width]);
    const low = linear(this.b, `${name}.low`, [{ x: drop(x), weight: a }]);
    const b = this.value('parameter', `${name}.B`, [out, RANK]);
    const terms = [
      { x, weight },
      { x: low, weight: b, scale: 1.5 },
    ];
    return linear(this.b, name, terms, base);
  }

  norm(name: string, x: Value): Value {
    return rmsnorm(this.b, name, x, this.value('weight', `${name}.weight`, [x.shape.at(-1)!]), 1e-2);
  }

  loss(hidden: Value): void {
    const head = this.value('weight', 'head', [VOCABULARY, WIDTH]);
    const teacherHidden = this.value('input', 'teacherHidden', [TOKENS, 3]);
    const teacherHead = this.value('weight', 'teacherHead', [VOCABULARY + 1, 3]);
    const labels = this.value('input', 'labels', [TOKENS], (t) => [3, -100, 0, 6, 2, 2][t]!);
    const inputs = { hidden, head, teacherHidden, teacherHead, labels };
    jointLossHead(this.b, inputs, { alpha: ALPHA, temperature: 2, gradient: true });
  }
}

interface LoraOptions {
  readonly base?: Value | null;
  readonly drop?: (x: Value) => Value;
}

interface Recorded {
  readonly module: Module;
  readonly gradients: Map<Value, Value>;
  readonly data: ReadonlyMap<Value, Float64Array>;
  readonly calls: readonly Call[];
}

function record(build: (model: Model) => void): Recorded {
  const model = new Model();
  let gradients = new Map<Value, Value>();
  model.b.program('step', { arena: 'step' }, () => {
    build(model);
    gradients = addGradients(model.b);
  });
  const module = model.b.module();
  return { module, gradients, data: model.data, calls: module.programs[0]!.calls };
}

/** Holds the gradient of every parameter to finite differences of the sum of the losses. */
function checkParameters({ module, gradients, data }: Recorded): void {
  const interpreter = new Interpreter(module);
  for (const [value, content] of data) interpreter.write(value, content);
  const [ce, kl] = ['ce', 'kl'].map((name) => module.values.find((value) => value.name === name)!);
  const loss = () => {
    interpreter.run('step');
    const kls = interpreter.read(kl!);
    return interpreter.read(ce!).reduce((sum, value, t) => sum + ALPHA * kls[t]! + (1 - ALPHA) * value, 0);
  };
  loss();
  const analytic = [...gradients].map(([value, gradient]) => [value, interpreter.read(gradient)] as const);
  for (const [value, gradient] of analytic) {
    const error = relativeError(gradient, centralDifferences(loss, data.get(value)!));
    assert.ok(error < 1e-6, `the gradient of ${value.name} is off by ${error} of its size`);
  }
}

/** A whole Llama block with LoRA on every linear, dropout before A, and one `add` more. */
function block(model: Model): void {
  const { b } = model;
  const tokens = model.value('input', 'tokens', [TOKENS], (t) => (t * 3) % VOCABULARY);
  const positions = model.value('input', 'positions', [TOKENS], (t) => [0, 1, 0, 0, 1, 2][t]!);
  const angles = model.value('weight', 'angles', [3, 2], (i) => (i % 2 ? Math.sin : Math.cos)(i - (i % 2)));
  const place = model.value('input', 'place', [TOKENS], (t) => t);
  const seedStep = model.value('scalar', 'seedStep', [2], (i) => i + 1);
  let site = 0;
  const drop = (x: Value) => dropout(b, x, { seedStep, place }, 0.3, site++);
  const h0 = embed(b, tokens, model.value('weight', 'embedding', [VOCABULARY, WIDTH]));
  const n0 = model.norm('n0', h0);
  const q = rope(b, model.lora('q', n0, 4, { drop }), positions, angles);
  const k = rope(b, model.lora('k', n0, 2, { drop }), positions, angles);
  const v = model.lora('v', n0, 2, { drop });
  const o = attention(b, { q, k, v }, positions, { sequence: 3, heads: 2, keyValueHeads: 1, headDim: 2 });
  const h1 = model.lora('o', o, WIDTH, { base: h0, drop });
  const n1 = model.norm('n1', h1);
  const gated = swiglu(b, model.lora('gate', n1, 5, { drop }), model.lora('up', n1, 5, { drop }));
  const h2 = model.lora('down', gated, WIDTH, { base: h1, drop });
  model.loss(model.norm('n2', add(b, h2, h1)));
}

test('every parameter of a Llama block has the gradient of finite differences', () => {
  const recorded = record(block);
  assert.is(recorded.gradients.size, 14);
  checkParameters(recorded);
});

/** The same block with every weight trained, biases, q and k normalised by head, and the embedding as the head. */
function wholeBlock(model: Model, embeddingRole: Role): void {
  const { b } = model;
  const tokens = model.value('input', 'tokens', [TOKENS], (t) => (t * 3) % (VOCABULARY - 1));
  const positions = model.value('input', 'positions', [TOKENS], (t) => [0, 1, 0, 0, 1, 2][t]!);
  const angles = model.value('weight', 'angles', [3, 2], (i) => (i % 2 ? Math.sin : Math.cos)(i - (i % 2)));
  const norm = (name: string, x: Value, width = WIDTH) =>
    rmsnorm(b, name, x, model.value('parameter', `${name}.weight`, [width]), 1e-2);
  const layer = (name: string, x: Value, out: number, base: Value | null = null) => {
    const weight = model.value('parameter', `${name}.weight`, [out, x.shape.at(-1)!]);
    return linear(b, name, [{ x, weight }], base, model.value('parameter', `${name}.bias`, [out]));
  };
  const embedding = model.value(embeddingRole, 'embedding', [VOCABULARY, WIDTH]);
  const h0 = embed(b, tokens, embedding);
  const n0 = norm('n0', h0);
  const q = rope(b, norm('q_norm', layer('q', n0, 4), 2), positions, angles);
  const k = rope(b, norm('k_norm', layer('k', n0, 2), 2), positions, angles);
  const sizes = { sequence: 3, heads: 2, keyValueHeads: 1, headDim: 2 };
  const o = attention(b, { q, k, v: layer('v', n0, 2) }, positions, sizes);
  const h1 = layer('o', o, WIDTH, h0);
  const n1 = norm('n1', h1);
  const h2 = layer('down', swiglu(b, layer('gate', n1, 5), layer('up', n1, 5)), WIDTH, h1);
  const logits = linear(b, 'logits', [{ x: norm('n2', h2), weight: embedding }]);
  model.loss(linear(b, 'end', [{ x: logits, weight: model.value('weight', 'end', [WIDTH, VOCABULARY]) }]));
}

test('with every weight trained each has the gradient of finite differences, the tied embedding too', () => {
  const recorded = record((model) => wholeBlock(model, 'parameter'));
  assert.is(recorded.gradients.size, 1 + 5 + 2 * 7);
  checkParameters(recorded);
  const [first, second] = ['linear_dw', 'embed_dw'].map((op) =>
    recorded.calls
      .filter((call) => call.op === op)
      .find(({ outputs }) => outputs[0]!.shape[0] === VOCABULARY),
  );
  assert.is(second!.inputs[0], first!.outputs[0]);
});

test('nothing is computed for a frozen embedding below the first trained weight', () => {
  const { calls, gradients } = record((model) => wholeBlock(model, 'weight'));
  assert.is(gradients.size, 5 + 2 * 7);
  const named = (op: string) => calls.filter((call) => call.op === op);
  assert.is(named('embed_dw').length, 0);
  assert.is(named('linear_dw').length, 7);
  assert.is(named('column_sum').length, 7);
  assert.is(named('rmsnorm_dw').length, 5);
  assert.is(named('rmsnorm_dx').length, 4);
  const weights = named('rmsnorm_dx').map((call) => call.inputs[3]!.name);
  assert.not(weights.includes('n0.weight'));
});

test('a weight and a bias that are used more than once, also by both terms of a call, get the sum', () => {
  const recorded = record((model) => {
    const [weight, bias, scale] = [
      model.value('parameter', 'weight', [WIDTH, WIDTH]),
      model.value('parameter', 'bias', [WIDTH]),
      model.value('parameter', 'scale', [WIDTH / 2]),
    ];
    const x = model.value('input', 'x', [TOKENS, WIDTH]);
    const once = rmsnorm(model.b, 'once', linear(model.b, 'y', [{ x, weight }], null, bias), scale, 1e-2);
    const terms = [
      { x, weight, scale: 0.5 },
      { x: once, weight, scale: -0.7 },
    ];
    model.loss(rmsnorm(model.b, 'twice', linear(model.b, 'z', terms, once, bias), scale, 1e-2));
  });
  assert.is(recorded.gradients.size, 3);
  checkParameters(recorded);
});

test('frozen values and what lies before the first trained one cost nothing backwards', () => {
  const { calls, gradients } = record(block);
  const named = (op: string) => calls.filter((call) => call.op === op);
  assert.is(named('linear_dw').length, gradients.size);
  assert.is(named('rmsnorm').length, 3);
  assert.is(named('rmsnorm_dx').length, 2);
  const read = new Set(named('linear_dx').flatMap((call) => call.inputs.map((input) => input?.name)));
  for (const name of ['q', 'k', 'v']) assert.not(read.has(`${name}.weight`), `${name}.weight is read`);
  for (const name of ['o', 'gate', 'up', 'down'])
    assert.ok(read.has(`${name}.weight`), `${name}.weight is not`);
});

test('products that meet in one value share passes over it', () => {
  const recorded = record((model) => {
    const x = model.value('parameter', 'x', [TOKENS, WIDTH]);
    const gated = swiglu(model.b, model.lora('gate', x, 5), model.lora('up', x, 5));
    model.loss(model.lora('down', gated, WIDTH, { base: x }));
  });
  checkParameters(recorded);
  // gate and up give x two products each; gated gets two; each of the three low-rank activations gets one.
  const terms = recorded.calls
    .filter((call) => call.op === 'linear_dx')
    .map((call) => (call.inputs[3] ? 2 : 1));
  assert.equal(terms.sort(), [1, 1, 1, 2, 2, 2]);
});

test('a product that waits while another op asks for the gradient counts once', () => {
  const recorded = record((model) => {
    const x = model.lora('x', model.value('input', 'input', [TOKENS, WIDTH]), WIDTH);
    const normed = model.norm('norm', x);
    model.loss(model.lora('y', x, WIDTH, { base: normed }));
  });
  checkParameters(recorded);
});

test('a parameter that is used twice gets the sum, one that no loss reaches gets nothing', () => {
  const recorded = record((model) => {
    const weight = model.value('parameter', 'weight', [WIDTH, WIDTH]);
    const x = model.value('input', 'x', [TOKENS, WIDTH]);
    const once = linear(model.b, 'once', [{ x, weight }]);
    const twice = linear(model.b, 'twice', [{ x: once, weight, scale: 0.5 }], once);
    linear(model.b, 'unused', [{ x: once, weight: model.value('parameter', 'unreached', [3, WIDTH]) }]);
    model.loss(add(model.b, twice, twice));
  });
  assert.equal(
    [...recorded.gradients.keys()].map((value) => value.name),
    ['weight'],
  );
  checkParameters(recorded);
});

test.run();
