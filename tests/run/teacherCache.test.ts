import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainInput } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { hashFolder } from '#src/formats/hashes.js';
import { makeFixture } from '../fixtures.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';

/** Runs over a cache of the teacher's hidden states: what they end with, and what they ask the teacher for. */

const fixture = makeFixture('teacher-cache');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'cache-'));
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl], evalFraction: 0.2 },
  ...{ batch: 4, microBatch: 2, sequence: 16, epochs: 1, evalTokens: 64, evalEvery: 50, rank: 4 },
  ...{ checkpointEvery: 10, lr: 1e-3, threads: 1, packing: 'best-fit' as const },
};

const teacherTokens = (run: Outcome) =>
  recordsOf(run, 'step').reduce((sum, step) => sum + step.teacher_tokens, 0);
const tokensOf = (run: Outcome) => recordsOf(run, 'step').at(-1)!.tokens;

/** Hashes of all files of the last checkpoint but its state, which has times: adapter and moments. */
async function trained({ out }: Outcome): Promise<string> {
  const lines = await hashFolder(listCheckpoints(join(out, 'checkpoints')).at(-1)!.path);
  return lines
    .split('\n')
    .filter((line) => !line.includes('state.json'))
    .join('\n');
}

const live = await outcomeOf(options);
const cache = freshFolder();
const filling = await outcomeOf({ ...options, teacherCache: cache });

const bytes = suite('a cache of f32');

bytes('the run that fills it ends with the bytes of the live run, and asks for each token', async () => {
  assert.is(teacherTokens(live), tokensOf(live));
  assert.is(await trained(filling), await trained(live));
  assert.ok(teacherTokens(filling) > 0);
});

for (const threads of [1, 2]) {
  bytes(
    `a run over it ends with the bytes of the live run, with ${threads} threads, and asks for nothing`,
    async () => {
      const run = await outcomeOf({ ...options, threads, teacherCache: cache });
      assert.is(await trained(run), await trained(live));
      assert.is(teacherTokens(run), 0);
    },
  );
}

const others: Record<string, Partial<TrainInput>> = {
  'another batch': { batch: 6, microBatch: 3 },
  'another order': { shuffleRows: 3 },
  'another seed': { seed: 7 },
  'another rank': { rank: 2 },
  'a second epoch': { epochs: 2 },
  'another divergence and temperature': { divergence: 'jsd', temperature: 2 },
};

for (const [name, change] of Object.entries(others)) {
  bytes(`${name}: no token is asked for, and the bytes are those of the live run`, async () => {
    const run = await outcomeOf({ ...options, ...change, teacherCache: cache });
    assert.is(teacherTokens(run), 0);
    assert.is(await trained(run), await trained(await outcomeOf({ ...options, ...change })));
  });
}

bytes.run();
