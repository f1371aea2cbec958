import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors, readFloat32 } from '#src/formats/safetensors.js';
import { makeChatFiles, makeFixture, makeJsonl } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';
import { timelessMetrics } from './process.js';

/** Runs on the first N documents of a shuffle, and on none. */

const fixture = makeFixture('examples');
const freshRun = () => join(mkdtempSync(join(fixture.folder, 'examples-')), 'run');
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 4, microBatch: 2, sequence: 16 },
  ...{ shuffleRows: 16, evalFraction: 0.2, evalTokens: 64, threads: 1, checkpointEvery: 2 },
  ...{ lr: 1e-2, warmup: 0, schedule: 'constant', keep: 9 },
};
const startOf = (outcome: Outcome) => recordsOf(outcome, 'start')[0]!;
const lossesOf = (outcome: Outcome) => recordsOf(outcome, 'step').map(({ loss }) => loss);

/** A tensor of the adapter of a run. */
function factorsOf({ out }: Outcome, factor: 'lora_A' | 'lora_B'): Float32Array[] {
  const { tensors } = openSafetensors(join(out, 'adapter', 'adapter_model.safetensors'));
  const names = [...tensors.keys()].filter((name) => name.includes(factor));
  assert.ok(names.length > 0);
  return names.map((name) => readFloat32(tensors.get(name)!));
}

test('a run that goes on ends with the bytes of one that did not stop', async () => {
  const whole = await outcomeOf({ ...base, examples: 7, steps: 6 });
  const short = await outcomeOf({ ...base, examples: 7, steps: 3 });
  const longer = await outcomeOf({ resume: true, out: short.out, steps: 6 });
  assert.ok(longer.adapter.equals(whole.adapter));
  assert.not.equal(lossesOf(whole), lossesOf(await outcomeOf({ ...base, examples: 8, steps: 6 })));
});

test('the choice is that of the run: another number is refused, on --resume and in a fork', async () => {
  const { out } = await outcomeOf({ ...base, examples: 7, steps: 2 });
  const refused = /expected the options of the run: --examples 7 \(found 8\)/;
  assert.match(await inputErrorOf(() => train({ resume: true, out, examples: 8 }).finished), refused);
  const fork = { fork: `${out}@2`, examples: 8, steps: 4, out: freshRun() };
  assert.match(await inputErrorOf(() => train(fork).finished), refused);
});

test('--epochs counts the examples that were chosen', async () => {
  const steps = async (examples: number | undefined) =>
    startOf(await outcomeOf({ ...base, examples, epochs: 2 })).steps;
  const [few, more, all] = [await steps(4), await steps(12), await steps(undefined)];
  assert.ok(0 < few && few < more && more < all, `${few}, ${more}, ${all}`);
});

test('conversations are examples, too', async () => {
  const { chat, plainTemplate } = makeChatFiles(fixture.folder);
  const chatty = { ...base, data: [chat], chatTemplate: plainTemplate, sequence: 64, steps: 2 };
  const [few, all] = [await outcomeOf({ ...chatty, examples: 3 }), await outcomeOf(chatty)];
  assert.not(few.adapter.equals(all.adapter));
});

test('all there are is the run without the option', async () => {
  const heldIn = { ...base, evalFraction: 0, evalTokens: undefined, steps: 2 };
  const [chosen, plain] = [await outcomeOf({ ...heldIn, examples: 40 }), await outcomeOf(heldIn)];
  assert.ok(chosen.adapter.equals(plain.adapter));
});

test('a run that is stopped while it chooses ends, and has written nothing', async () => {
  const out = freshRun();
  const large = join(fixture.folder, 'large.jsonl');
  writeFileSync(large, makeJsonl(5, 40_000));
  const run = train({ ...base, data: [large], examples: 10, out });
  let done = 0;
  run.metrics$.subscribe({
    next: (record) => {
      if (record.type !== 'progress' || record.doing !== 'choosing examples') return;
      done = Math.max(done, record.done ?? 0);
      run.stop();
    },
    error: () => {},
  });
  assert.equal(await run.finished, { out, steps: 0, finished: false });
  assert.ok(0 < done && done < 40_000, `stopped after ${done} documents`);
  assert.not(existsSync(out));
});

test('more than there are: nothing is written', async () => {
  const out = freshRun();
  const message = await inputErrorOf(
    () => train({ ...base, evalFraction: 0, evalTokens: undefined, examples: 41, out }).finished,
  );
  assert.match(message, /^--examples: expected at most 40, .*, found 41; lower it, or give more text$/);
  assert.not(existsSync(out));
});

for (const teacher of ['none', fixture.teacher]) {
  test(`0 examples: the start is evaluated and saved, teacher ${teacher === 'none' ? 'none' : 'given'}`, async () => {
    const nothing = await outcomeOf({ ...base, teacher, examples: 0, steps: 6 });
    assert.is(startOf(nothing).steps, 0);
    assert.equal(
      timelessMetrics(nothing.out).map((line) => JSON.parse(line).type),
      ['start', 'eval', 'end'],
    );
    const some = await outcomeOf({ ...base, teacher, examples: 7, steps: 1 });
    assert.is(timelessMetrics(nothing.out)[1], timelessMetrics(some.out)[1]);
    assert.ok(factorsOf(nothing, 'lora_B').every((values) => values.every((value) => value === 0)));
    assert.ok(factorsOf(nothing, 'lora_A').every((values) => values.some((value) => value !== 0)));
    // The start of a run that does train, and of one that goes on from it.
    const from = join(nothing.out, 'adapter');
    const [again, plain] = [
      await outcomeOf({ ...base, teacher, examples: 7, steps: 2, init: from }),
      await outcomeOf({ ...base, teacher, examples: 7, steps: 2 }),
    ];
    assert.ok(again.adapter.equals(plain.adapter));
  });
}

test('0 examples of a run that is asked to go on: it is as it was', async () => {
  const nothing = await outcomeOf({ ...base, examples: 0 });
  const metrics = timelessMetrics(nothing.out);
  const again = await outcomeOf({ resume: true, out: nothing.out });
  assert.ok(again.adapter.equals(nothing.adapter));
  assert.equal(timelessMetrics(again.out), metrics);
});

test('0 examples start from another adapter, or train no model', async () => {
  const trained = await outcomeOf({ ...base, steps: 2 });
  const init = join(trained.out, 'adapter');
  const kept = await outcomeOf({ ...base, init, examples: 0 });
  assert.equal(factorsOf(kept, 'lora_B'), factorsOf(trained, 'lora_B'));
  const whole = await outcomeOf({ ...base, trainable: 'all', examples: 0 });
  assert.ok(existsSync(join(whole.out, 'model', 'model.safetensors')));
});

test.after(() => rmSync(fixture.folder, { recursive: true, force: true }));

test.run();
