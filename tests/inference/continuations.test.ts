import { loadModel, type Model } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, STUDENT } from '../fixtures.js';
import { runErrorOf } from '../hub/scene.js';
import { inputErrorOf } from '../inputErrors.js';
import { Random } from '../ops/cases.js';

/** Continuations against the logits of each example alone, which is the plain way. */

const fixture = makeFixture('continuations');
const SEQUENCE = 32;
const ROWS = STUDENT.vocab_size as number;

interface Example {
  readonly tokens: Uint32Array;
  readonly learned?: Uint8Array;
}

const tests = suite('continuations');
let model: Model;
tests.before(async () => {
  model = await loadModel(fixture.student, { sequence: SEQUENCE, threads: 2 });
});
tests.after(() => model.close());

/** log p of each token after the first, and the likeliest in its place. */
async function plain(tokens: Uint32Array): Promise<{ logP: number; likeliest: number }[]> {
  const logits = await model.logits(tokens.subarray(0, -1));
  return Array.from(tokens.subarray(1), (token, i) => {
    const z = Float64Array.from(logits.subarray(i * ROWS, (i + 1) * ROWS));
    const largest = z.reduce((a, b) => Math.max(a, b));
    const sum = z.reduce((total, value) => total + Math.exp(value - largest), 0);
    return { logP: z[token]! - largest - Math.log(sum), likeliest: z.indexOf(largest) };
  });
}

/** A prompt, and what greedy decoding makes of it, token by token. */
async function decoded(prompt: readonly number[], count: number): Promise<Uint32Array> {
  const tokens = [...prompt];
  for (let i = 0; i < count; i++)
    tokens.push((await plain(Uint32Array.from([...tokens, 0]))).at(-1)!.likeliest);
  return Uint32Array.from(tokens);
}

const answerOf = (tokens: Uint32Array, from: number): Example => ({
  tokens,
  learned: new Uint8Array(tokens.length).fill(1, from),
});

tests(
  'have the log-likelihoods of examples scored alone, in their order, however they share rows',
  async () => {
    const random = new Random(1);
    const examples = Array.from({ length: 90 }, (_, i): Example => {
      const length = i === 40 ? SEQUENCE + 1 : 2 + random.integer(17);
      const tokens = Uint32Array.from({ length }, () => random.integer(ROWS));
      return i % 3 === 0 ? { tokens } : answerOf(tokens, 1 + random.integer(length - 1));
    });
    const scores = await model.continuations(examples);
    assert.is(scores.length, examples.length);
    for (const [i, { tokens, learned }] of examples.entries()) {
      const asked = (await plain(tokens)).filter((_, place) => learned?.[place + 1] !== 0);
      const expected = asked.reduce((sum, { logP }) => sum + logP, 0);
      const { logLikelihood, tokens: count } = scores[i]!;
      assert.is(count, asked.length);
      assert.ok(Math.abs(logLikelihood - expected) < 1e-4 * count, `${logLikelihood}, expected ${expected}`);
    }
  },
);

tests('are greedy where every token is the likeliest one, and only there', async () => {
  const whole = await decoded([1, 300, 7], 5);
  const changed = (place: number) => whole.map((id, i) => (i === place ? (id + 1) % ROWS : id));
  const flags = async (examples: readonly Example[]) =>
    (await model.continuations(examples)).map(({ isGreedy }) => isGreedy);
  assert.equal(await flags([answerOf(whole, 3), answerOf(changed(7), 3), answerOf(changed(3), 3)]), [
    true,
    false,
    false,
  ]);
  // What is only read is not held to anything.
  assert.equal(await flags([answerOf(whole, 7), { tokens: whole }]), [true, false]);
});

tests('count what was scored, and stop', async () => {
  const tokens = Uint32Array.from({ length: 20 }, (_, i) => i);
  const told: number[] = [];
  await model.continuations(Array(200).fill({ tokens }), { onScored: (count) => told.push(count) });
  assert.ok(told.length > 1);
  assert.is(told.at(-1), 200 * 19);
  assert.equal(await model.continuations([]), []);
  const signal = AbortSignal.abort(new Error('enough'));
  assert.is(
    await runErrorOf(model.continuations([{ tokens }], { signal })),
    'expected to score the whole text, found a signal to stop',
  );
});

tests('refuse what cannot be scored, and go on', async () => {
  const tokens = Uint32Array.of(1, 2, 3);
  const nothing = 'expected a token to predict after another one, found none';
  for (const [example, message] of [
    [
      { tokens: new Uint32Array(SEQUENCE + 2) },
      `expected at most ${SEQUENCE + 1} tokens, found ${SEQUENCE + 2}`,
    ],
    [{ tokens: Uint32Array.of(5) }, nothing],
    [{ tokens: new Uint32Array(0) }, nothing],
    [{ tokens, learned: new Uint8Array(3) }, nothing],
    // The first token has nothing before it.
    [{ tokens, learned: Uint8Array.of(1, 0, 0) }, nothing],
  ] as const) {
    assert.match(
      await inputErrorOf(() => model.continuations([{ tokens }, example])),
      `example 2: ${message}`,
    );
  }
  assert.is((await model.continuations([{ tokens }])).length, 1);
});

tests.run();
