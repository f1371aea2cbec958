import { loadModel } from 'rivulet';
import * as assert from 'uvu/assert';
import { gpuSuite } from '../devices/gpuDevice.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { Random } from '../ops/cases.js';

/** What is read after a cache on a GPU, against the CPU. */

// Tests decide by themselves whether software will do.
process.env.RIVULET_SOFTWARE_GPU = '1';

const fixture = makeFixture('webgpuCache');
const random = new Random(5);
const idsOf = (length: number): Uint32Array =>
  Uint32Array.from({ length }, () => random.integer(STUDENT.vocab_size as number));
const preamble = idsOf(9);
const groups = [3, 30, 1, 12].map((length, i) => ({
  context: Uint32Array.from([...(i % 2 === 0 ? preamble : []), ...idsOf(length)]),
  continuations: [1, 7, 20].map(idsOf),
}));
const prompts = [2, 19, 5].map((length) => ({ ids: idsOf(length) }));

async function answers(device: 'wasm' | 'webgpu', kernels: 'f32' | 'f16') {
  const place = { device, kernels, threads: 2, tune: 'off' } as const;
  const model = await loadModel(fixture.student, { ...place, sequence: 1, context: 90, batch: 2 });
  const { scores, forwarded } = await model.choices(groups);
  const completions = await model.complete(prompts, { maxTokens: 10 });
  await model.close();
  return { scores: scores.flat(), forwarded, ids: completions.map(({ ids }) => ids) };
}

const { tests, test } = gpuSuite('a cache of keys and values on a GPU');

/** Nats a token. */
for (const [kernels, tolerance] of [
  ['f32', 1e-4],
  ['f16', 5e-2],
] as const) {
  test(`gives the scores and completions of the CPU, ${kernels}`, async () => {
    const [expected, found] = [await answers('wasm', 'f32'), await answers('webgpu', kernels)];
    assert.is(found.forwarded, expected.forwarded);
    for (const [i, { logLikelihood, tokens }] of found.scores.entries()) {
      const difference = Math.abs(logLikelihood - expected.scores[i]!.logLikelihood);
      assert.ok(difference < tolerance * tokens, `${i}: ${difference} over ${tokens} tokens`);
    }
    if (kernels === 'f32') assert.equal(found.ids, expected.ids);
  });
}

tests.run();
