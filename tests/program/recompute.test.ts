import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { linear } from '#src/program/ops/linear.js';
import { swiglu } from '#src/program/ops/swiglu.js';
import { planMemory } from '#src/program/plan.js';
import type { Call } from '#src/program/types.js';
import { block, type Model, type Recorded, record, TOKENS, WIDTH, wholeBlock } from './blocks.js';
import { Interpreter } from './interpreter.js';

/** Gradients of a run by the names of the parameters. */
function gradientsOf({ module, data, gradients }: Recorded): Map<string, Float64Array> {
  const interpreter = new Interpreter(module);
  for (const [value, content] of data) interpreter.write(value, content);
  interpreter.run('step');
  return new Map([...gradients].map(([value, gradient]) => [value.name, interpreter.read(gradient)]));
}

/** Blocks with a gated MLP each; `adapted` says whether its last linear has LoRA as the others do. */
const stack = (blocks: number, adapted: boolean) => (model: Model) => {
  let x = model.lora('in', model.value('input', 'x', [TOKENS, WIDTH]), WIDTH);
  for (let i = 0; i < blocks; i++) {
    x = model.b.segment(() => {
      const normed = model.norm(`norm${i}`, x);
      const gated = swiglu(model.b, model.lora(`gate${i}`, normed, 16), model.lora(`up${i}`, normed, 16));
      if (adapted) return model.lora(`down${i}`, gated, WIDTH, { base: x });
      const weight = model.value('weight', `down${i}.weight`, [WIDTH, 16]);
      return linear(model.b, `down${i}`, [{ x: gated, weight }], x);
    });
  }
  model.loss(x);
};

const MODELS: Readonly<Record<string, (model: Model) => void>> = {
  'a block with LoRA and dropout': block,
  'a block with every weight trained': (model) => wholeBlock(model, 'parameter'),
  'the same on a frozen embedding': (model) => wholeBlock(model, 'weight'),
  'three blocks': stack(3, true),
  'three blocks, some layers not adapted': stack(3, false),
};

/** The calls of each pass; the loss ends the first. */
function passes(calls: readonly Call[]): [forward: readonly Call[], backward: readonly Call[]] {
  const end = calls.findIndex(({ op }) => op === 'joint_loss_head') + 1;
  return [calls.slice(0, end), calls.slice(end)];
}

const again = ({ outputs }: Call) => outputs[0]!.name.startsWith('again.');

for (const [name, build] of Object.entries(MODELS)) {
  test(`${name}: the same gradients, bit by bit`, () => {
    const [kept, recomputed] = [record(build), record(build, true)];
    const wanted = gradientsOf(kept);
    const found = gradientsOf(recomputed);
    assert.equal([...found.keys()], [...wanted.keys()]);
    for (const [parameter, gradient] of wanted) {
      assert.ok(gradient.every(Number.isFinite), parameter);
      assert.equal(found.get(parameter), gradient, parameter);
    }
    assert.ok(recomputed.calls.some(again));
    assert.equal(
      recomputed.calls.filter((call) => !again(call)).map(({ op }) => op),
      kept.calls.map(({ op }) => op),
    );
  });

  test(`${name}: whatever is computed again is read, and computed once`, () => {
    const [, backward] = passes(record(build, true).calls);
    const copies = backward.filter(again);
    assert.is(new Set(copies.map(({ outputs }) => outputs[0]!.name.split('#')[1])).size, copies.length);
    const read = new Set(backward.flatMap(({ inputs }) => inputs));
    for (const { outputs } of copies) assert.ok(outputs.some((output) => read.has(output)));
  });
}

test('the backward pass reads of the forward pass only what other segments read, too', () => {
  const names = (build: (model: Model) => void) => {
    const [forward, backward] = passes(record(build, true).calls);
    const computed = new Set(forward.flatMap(({ outputs }) => outputs));
    const read = new Set(backward.flatMap(({ inputs }) => inputs).filter((value) => value !== null));
    return [...read].filter((value) => computed.has(value)).map((value) => value.name.split('#')[0]);
  };
  assert.equal(names(stack(3, true)).sort(), ['d_hidden', 'down0', 'down1', 'in', 'in.low']);
  assert.equal(names(block).sort(), ['d_hidden', 'embeddings', 'n2.rstd', 'o', 'sum']);
});

test('what no gradient needs is not computed again', () => {
  const opsOf = (adapted: boolean) =>
    passes(record(stack(1, adapted), true).calls)[1]
      .filter(again)
      .map(({ op }) => op);
  assert.equal(opsOf(true), ['rmsnorm', 'linear', 'linear', 'linear', 'linear', 'swiglu', 'linear']);
  assert.equal(opsOf(false), ['rmsnorm', 'linear', 'linear', 'linear', 'linear']);
});

test('a further block takes the storage of its result, and without recompute all that is inside', () => {
  const result = 4 * TOKENS * WIDTH;
  const added = (recompute: boolean) => {
    const [some, more] = [4, 5].map(
      (blocks) => planMemory(record(stack(blocks, true), recompute).module).bytes.activations,
    );
    return more! - some!;
  };
  assert.is(added(true), result);
  assert.ok(added(false) > 10 * result, `${added(false)} bytes`);
});

test.run();
