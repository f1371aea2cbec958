import { join } from 'node:path';
import { generate, loadModel, study, type TrainInput, train } from 'rivulet';
import { lastValueFrom } from 'rxjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** Options and prompts are taken as they are when a call is made, whatever becomes of them in the same turn. */

const fixture = makeFixture('given');
const PLACE = { device: 'wasm', threads: 1 } as const;

test('train', async () => {
  const length = { steps: 2, batch: 2, sequence: 16, evalFraction: 0 };
  const data = [fixture.text];
  const options = { ...PLACE, ...length, student: fixture.student, data, dryRun: true };
  const asked: TrainInput = { ...options, seed: 1, out: join(fixture.folder, 'one') };
  const first = train(asked);
  data[0] = 'nowhere.txt';
  Object.assign(asked, { seed: 2, out: join(fixture.folder, 'two') });
  const second = train({ ...asked, data: [fixture.jsonl] });
  const [one, two] = await Promise.all([first.prepared, second.prepared]);
  assert.equal([one.options.seed, one.out], [1, join(fixture.folder, 'one')]);
  assert.equal(one.options.data, [fixture.text]);
  assert.equal([two.options.seed, two.out], [2, join(fixture.folder, 'two')]);
  await Promise.all([first.finished, second.finished]);
});

test('lists and options that nobody may change', async () => {
  const data = [fixture.text, fixture.jsonl] as const;
  const { student } = fixture;
  const options = Object.freeze({ ...PLACE, student, data, batch: 2, sequence: 16, steps: 2, dryRun: true });
  const run = train(options);
  assert.equal((await run.prepared).options.data, [...data]);
  await run.finished;
});

test('study', async () => {
  const asked = { config: join(fixture.folder, 'no-1.yaml'), out: join(fixture.folder, 'study') };
  const first = study(asked);
  asked.config = join(fixture.folder, 'no-2.yaml');
  const second = study(asked);
  assert.match(await inputErrorOf(() => first.finished), 'no-1.yaml');
  assert.match(await inputErrorOf(() => second.finished), 'no-2.yaml');
});

test('generate, of the library and of a model', async () => {
  const asked = { ...PLACE, model: fixture.student, prompt: 'the cat', maxTokens: 4, stop: ['#'] };
  const whole = await lastValueFrom(generate(asked));
  const late = generate(asked);
  asked.stop[0] = '';
  Object.assign(asked, { prompt: '', maxTokens: 1 });
  assert.equal(await lastValueFrom(late), whole);

  const model = await loadModel(fixture.student, { ...PLACE, sequence: 1, context: 32 });
  const [prompts, options] = [[{ ids: [5, 6] }], { maxTokens: 4 }];
  const expected = await lastValueFrom(model.generate(prompts, options));
  const later = model.generate(prompts, options);
  prompts[0]!.ids[0] = -1;
  prompts.push({ ids: [] });
  options.maxTokens = 0;
  assert.equal(await lastValueFrom(later), expected);
  await model.close();
});

test('what is no object of options is none', async () => {
  for (const [given, found] of [
    [undefined, 'nothing'],
    [null, 'null'],
    [5, '5'],
  ] as const) {
    const message = `expected an object of options, found ${found}`;
    assert.is(await inputErrorOf(() => train(given as never).finished), message);
    assert.is(await inputErrorOf(() => study(given as never).finished), message);
    assert.is(await inputErrorOf(() => lastValueFrom(generate(given as never))), message);
  }
});

test.run();
