import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { candidatesOf, likeliest, Sampler } from '#src/inference/sampling.js';
import { Random } from '../ops/cases.js';

/** What may be drawn, and how often it is. */

const ALL = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
/** Logits of probabilities. */
const logitsOf = (...p: number[]): Float32Array => Float32Array.from(p, Math.log);
const idsOf = (logits: Float32Array, options: Partial<typeof ALL>): number[] =>
  candidatesOf(logits, { ...ALL, ...options }).map(({ id }) => id);

const tests = suite('sampling');
const P = logitsOf(0.1, 0.4, 0.05, 0.3, 0.15);

tests('leaves the likeliest tokens', () => {
  assert.equal(idsOf(P, {}), [0, 1, 2, 3, 4]);
  assert.equal(idsOf(P, { topK: 1 }), [1]);
  assert.equal(idsOf(P, { topK: 3 }), [1, 3, 4]);
  assert.equal(idsOf(P, { topK: 9 }), [0, 1, 2, 3, 4]);
  assert.equal(idsOf(P, { topP: 0.39 }), [1]);
  assert.equal(idsOf(P, { topP: 0.41 }), [1, 3]);
  assert.equal(idsOf(P, { topP: 0.84 }), [1, 3, 4]);
  assert.equal(idsOf(P, { topP: 0.86 }), [0, 1, 3, 4]);
  assert.equal(idsOf(P, { topP: 1e-9 }), [1]);
  assert.equal(idsOf(P, { minP: 0.5 }), [1, 3]);
  assert.equal(idsOf(P, { minP: 0.24 }), [0, 1, 3, 4]);
  assert.equal(idsOf(P, { minP: 1 }), [1]);
});

tests('takes top-p of what top-k left, after the temperature', () => {
  // 0.4 and 0.3 of 0.7: the first alone has 0.57.
  assert.equal(idsOf(P, { topK: 2, topP: 0.56 }), [1]);
  assert.equal(idsOf(P, { topK: 2, topP: 0.58 }), [1, 3]);
  // Squared: 0.16 of 0.285 is 0.56.
  assert.equal(idsOf(P, { temperature: 0.5, topP: 0.55 }), [1]);
  assert.equal(idsOf(P, { temperature: 0.5, minP: 0.2 }), [1, 3]);
});

tests('keeps equal tokens at the edge of top-k', () => {
  assert.equal(idsOf(logitsOf(0.25, 0.25, 0.25, 0.25), { topK: 2 }), [0, 1, 2, 3]);
  assert.equal(idsOf(logitsOf(0.4, 0.2, 0.2, 0.2), { topK: 2 }), [0, 1, 2, 3]);
});

tests('finds the edge of top-k among many, quickly however many they are', () => {
  const random = new Random(5);
  const many = Float32Array.from({ length: 5000 }, () => random.integer(1000) / 100);
  const sorted = many.slice().sort().reverse();
  for (const topK of [1, 2, 50, 2500, 4999]) {
    const kept = idsOf(many, { topK });
    assert.equal(
      kept,
      [...many.keys()].filter((id) => many[id]! >= sorted[topK - 1]!),
    );
  }
  const vocabulary = Float32Array.from({ length: 150_000 }, () => random.integer(2 ** 24));
  const start = performance.now();
  idsOf(vocabulary, { topK: 75_000 });
  assert.ok(performance.now() - start < 1000);
});

tests('draws as often as the probabilities say, the same for the same seed', () => {
  const draw = (seed: number) => {
    const sampler = new Sampler({ ...ALL, topK: 3 }, seed, 0);
    return Array.from({ length: 20_000 }, () => sampler.choose(P.slice(), new Set()));
  };
  const drawn = draw(1);
  for (const [id, p] of [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85].entries()) {
    const share = drawn.filter((of) => of === id).length / drawn.length;
    // 5 standard deviations.
    assert.ok(
      Math.abs(share - p) <= 5 * Math.sqrt((p * (1 - p)) / drawn.length),
      `${id}: ${share}, not ${p}`,
    );
  }
  assert.equal(draw(1), drawn);
  assert.not.equal(draw(2), drawn);
});

tests('takes the likeliest at temperature 0, of equal ones the first', () => {
  const greedy = new Sampler({ ...ALL, temperature: 0 }, 0, 0);
  assert.is(greedy.choose(P.slice(), new Set()), 1);
  assert.is(likeliest(Float32Array.of(1, 3, 3, 2)), 1);
});

tests('takes the likeliest at a temperature however low, and any at one however high', () => {
  for (const temperature of [1e-300, 1e-30, 1e-3]) {
    const cold = new Sampler({ ...ALL, temperature, topP: 0.9, minP: 0.1 }, 0, 0);
    for (let i = 0; i < 20; i++) assert.is(cold.choose(P.slice(), new Set()), 1);
  }
  const hot = new Sampler({ ...ALL, temperature: 1e30 }, 0, 0);
  const drawn = new Set(Array.from({ length: 200 }, () => hot.choose(P.slice(), new Set())));
  assert.is(drawn.size, P.length);
});

tests('makes what is there already less likely, whichever sign its logit has', () => {
  const greedy = new Sampler({ ...ALL, temperature: 0, repetitionPenalty: 2 }, 0, 0);
  assert.is(greedy.choose(Float32Array.of(3, 2, 1), new Set([0])), 1);
  assert.is(greedy.choose(Float32Array.of(-1, -1.5, -9), new Set([0, 77])), 1);
  assert.is(greedy.choose(Float32Array.of(3, 1.4, 1), new Set([0])), 0);
  // Beyond what f32 holds.
  const likelier = new Sampler({ ...ALL, repetitionPenalty: 1e-300 }, 0, 0);
  assert.is(likelier.choose(Float32Array.of(9, 3, -2), new Set([1])), 1);
  const rarer = new Sampler({ ...ALL, repetitionPenalty: 1e300 }, 0, 0);
  assert.is(rarer.choose(Float32Array.of(-9, -3, -200), new Set([0, 1])), 2);
});

tests.run();
