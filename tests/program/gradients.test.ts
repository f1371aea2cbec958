import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { add } from '#src/program/ops/add.js';
import { linear } from '#src/program/ops/linear.js';
import { rmsnorm } from '#src/program/ops/rmsnorm.js';
import { swiglu } from '#src/program/ops/swiglu.js';
import { centralDifferences, relativeError } from '../ops/differences.js';
import { ALPHA, block, type Recorded, record, TOKENS, VOCABULARY, WIDTH, wholeBlock } from './blocks.js';
import { Interpreter } from './interpreter.js';

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

test('every parameter of a Llama block has the gradient of finite differences', () => {
  const recorded = record(block);
  assert.is(recorded.gradients.size, 14);
  checkParameters(recorded);
});

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
