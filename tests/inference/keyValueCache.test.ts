import { loadModel, type Model } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, STUDENT, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { Random } from '../ops/cases.js';

/** What is read after a cache, against the same tokens read whole. */

const fixture = makeFixture('keyValueCache');
const VOCABULARY = STUDENT.vocab_size as number;
/** Logits of size 1 to 10: f32 in another order, and matrices read in place or packed. */
const TOLERANCE = 2e-4;
const CONTEXT = 120;

const random = new Random(7);
const idsOf = (length: number): Uint32Array => Uint32Array.from({ length }, () => random.integer(VOCABULARY));

/** The last logits of a text, and log p of each of its tokens from `from` on, with whether all are the likeliest. */
async function plain(model: Model, ids: Uint32Array, from: number) {
  const logits = await model.logits(ids);
  const rows = Array.from({ length: ids.length }, (_, i) =>
    logits.subarray(i * VOCABULARY, (i + 1) * VOCABULARY),
  );
  let [logLikelihood, isGreedy] = [0, true];
  for (let i = from; i < ids.length; i++) {
    const row = rows[i - 1]!;
    const top = row.reduce((best, value, id) => (value > row[best]! ? id : best), 0);
    const sum = row.reduce((total, value) => total + Math.exp(value - row[top]!), 0);
    logLikelihood += row[ids[i]!]! - row[top]! - Math.log(sum);
    isGreedy &&= top === ids[i];
  }
  return { last: rows.at(-1)!, logLikelihood, isGreedy };
}

const tests = suite('a cache of keys and values');
const models = new Map<string, Model>();
const open = async (batch: number, folder = fixture.student): Promise<Model> => {
  const key = `${batch} ${folder}`;
  const model =
    models.get(key) ??
    (await loadModel(folder, { sequence: 128, threads: 2, device: 'wasm', context: CONTEXT, batch }));
  models.set(key, model);
  return model;
};
tests.after(async () => {
  for (const model of models.values()) await model.close();
});

for (const batch of [1, 3]) {
  tests(`scores choices as texts that are read whole, ${batch} contexts at a time`, async () => {
    const model = await open(batch);
    const preamble = idsOf(21);
    const groups = [1, 2, 9, 40, 33, 1, 70].map((length, i) => ({
      context: Uint32Array.from([...(i % 2 === 0 ? preamble : []), ...idsOf(length)]),
      continuations: Array.from({ length: 1 + (i % 5) }, (_, j) => idsOf(1 + ((3 * i + 7 * j) % 12))),
    }));
    const { scores } = await model.choices(groups);
    for (const [i, { context, continuations }] of groups.entries()) {
      for (const [j, continuation] of continuations.entries()) {
        const whole = Uint32Array.from([...context, ...continuation]);
        const expected = await plain(model, whole, context.length);
        const { logLikelihood, tokens, isGreedy } = scores[i]![j]!;
        assert.is(tokens, continuation.length);
        assert.is(isGreedy, expected.isGreedy);
        assert.ok(Math.abs(logLikelihood - expected.logLikelihood) < TOLERANCE * tokens);
      }
    }
  });
}

tests('reads a preamble once, and only what is new of the next context', async () => {
  const model = await open(1);
  const preamble = idsOf(50);
  const groups = [4, 9, 6].map((length) => ({
    context: Uint32Array.from([...preamble, ...idsOf(length)]),
    continuations: [idsOf(1), idsOf(3), idsOf(1)],
  }));
  const { forwarded } = await model.choices(groups);
  // What follows the first token of a continuation, but for its last one, is read too.
  assert.is(forwarded, 50 + 4 + 9 + 6 + 3 * 2);
  const again = await model.choices([groups[2]!]);
  assert.is(again.forwarded, 1 + 2);
  assert.equal(again.scores[0]!.map(({ isGreedy }) => isGreedy).length, 3);
});

tests('counts what completions read: what prompts share once, and no last token', async () => {
  const model = await open(1);
  const preamble = idsOf(40);
  const prompts = [5, 8].map((length) => ({ ids: Uint32Array.from([...preamble, ...idsOf(length)]) }));
  await model.complete([{ ids: [VOCABULARY - 1] }], { maxTokens: 1 });
  const before = model.forwarded;
  const completions = await model.complete(prompts, { maxTokens: 3 });
  const written = completions.reduce((sum, { ids }) => sum + ids.length - 1, 0);
  assert.is(model.forwarded - before, 40 + 5 + 8 + written);
});

tests('scores continuations longer than any program, and is as it was afterwards', async () => {
  // 32 rows leave 16 slots to a row.
  const [model, small] = [await open(1), await open(32)];
  const context = idsOf(20);
  const continuations = [idsOf(90), idsOf(2), idsOf(41), idsOf(100)];
  const groups = [{ context, continuations }];
  const [expected, found, again] = [
    await model.choices(groups),
    await small.choices(groups),
    await small.choices(groups),
  ];
  for (const [i, { logLikelihood, tokens }] of expected.scores[0]!.entries()) {
    assert.is(found.scores[0]![i]!.tokens, tokens);
    assert.ok(Math.abs(found.scores[0]![i]!.logLikelihood - logLikelihood) < TOLERANCE * tokens);
  }
  for (const [i, { logLikelihood, tokens }] of again.scores[0]!.entries()) {
    assert.ok(Math.abs(found.scores[0]![i]!.logLikelihood - logLikelihood) < TOLERANCE * tokens);
  }
  assert.is(again.forwarded, found.forwarded - context.length + 1);
});

tests('greedy completions are those of the text read whole, one prompt at a time or several', async () => {
  const prompts = [3, 1, 40, 17, 8].map((length) => ({ ids: idsOf(length) }));
  const expected: number[][] = [];
  const one = await open(1);
  for (const { ids } of prompts) {
    const text = [...ids];
    for (let i = 0; i < 12; i++) {
      const { last } = await plain(one, Uint32Array.from(text), text.length);
      text.push(last.indexOf(last.reduce((a, b) => Math.max(a, b))));
    }
    expected.push(text.slice(ids.length));
  }
  for (const batch of [1, 3]) {
    const completions = await (await open(batch)).complete(prompts, { maxTokens: 12 });
    for (const [i, { ids, finish }] of completions.entries()) {
      assert.is(finish, ids.length === 12 && !ids.includes(2) ? 'length' : 'stop');
      assert.equal(ids, expected[i]!.slice(0, ids.length));
    }
  }
});

tests('works where queries and keys are normalised', async () => {
  const config = { ...STUDENT, model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'] };
  const model = await open(1, writeModel(`${fixture.folder}/qwen3`, config, 5));
  const [context, continuation] = [idsOf(30), idsOf(9)];
  const { scores } = await model.choices([{ context, continuations: [continuation] }]);
  const expected = await plain(model, Uint32Array.from([...context, ...continuation]), context.length);
  assert.ok(Math.abs(scores[0]![0]!.logLikelihood - expected.logLikelihood) < 9 * TOLERANCE);
});

tests('refuses what it has no room for, and goes on', async () => {
  const model = await open(1);
  const long = { context: idsOf(110), continuations: [idsOf(12)] };
  assert.match(
    await inputErrorOf(() => model.choices([long])),
    'expected at most 120 tokens of a text and what follows, found 121; raise --context, or shorten it',
  );
  assert.match(
    await inputErrorOf(() => model.complete([{ ids: idsOf(100) }], { maxTokens: 22 })),
    'prompt: expected at most 120 tokens with what follows, found 100 and up to 22 new ones; shorten it, lower --max-tokens, or raise --context',
  );
  assert.is((await model.complete([{ ids: idsOf(100) }], { maxTokens: 21 })).length, 1);
  const without = await loadModel(fixture.student, { sequence: 8, threads: 1, device: 'wasm' });
  for (const call of [() => without.choices([long]), () => without.complete(['the cat'])]) {
    assert.match(
      await inputErrorOf(call),
      /expected a model with room for a text and what follows, found none/,
    );
  }
  await without.close();
  assert.match(
    await inputErrorOf(() => loadModel(fixture.student, { sequence: 8, context: 129 })),
    /--context: expected at most 128, the positions of .*student, found 129/,
  );
});

tests.run();
