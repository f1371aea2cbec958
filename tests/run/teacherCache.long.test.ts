import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { type CacheInput, cacheTeacher, type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { hashFolder } from '#src/formats/hashes.js';
import { makeChatFiles, makeFixture } from '../fixtures.js';
import { type Outcome, outcomeOf, recordsOf } from './outcome.js';

/** Runs over a cache of the teacher's hidden states: what they end with, and what they ask the teacher for. */

const fixture = makeFixture('teacher-cache');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'cache-'));
const { plainTemplate, chat } = makeChatFiles(fixture.folder);

const text = { data: [fixture.jsonl], sequence: 16, evalFraction: 0 };
const options: TrainInput = {
  ...{ student: fixture.student, teacher: fixture.teacher, ...text, packing: 'best-fit', device: 'wasm' },
  ...{ batch: 4, microBatch: 2, shuffleRows: 16, steps: 5, rank: 4, lr: 1e-3, threads: 1 },
};
const kept: CacheInput = { model: fixture.teacher, ...text, threads: 1, device: 'wasm', out: '' };

const teacherTokens = (run: Outcome) => recordsOf(run, 'step').map((step) => step.teacher_tokens);
const isZero = (tokens: number) => tokens === 0;

/** Hashes of the last checkpoint's files: adapter and moments. Its state has times, metrics have what was asked for. */
async function trained({ out }: Outcome): Promise<string> {
  const lines = await hashFolder(listCheckpoints(join(out, 'checkpoints')).at(-1)!.path);
  return lines
    .split('\n')
    .filter((line) => !line.includes('state.json'))
    .join('\n');
}

const cache = join(freshFolder(), 'cache');
const filled = await cacheTeacher({ ...kept, out: cache });
const live = await outcomeOf(options);

const exact = suite('a cache of f32');

exact(
  'the run that fills one ends with the bytes of the live run, and asks for all that it reads',
  async () => {
    const filling = await outcomeOf({ ...options, teacherCache: freshFolder() });
    const { tokens } = recordsOf(live, 'step').at(-1)!;
    assert.is(
      teacherTokens(live).reduce((a, b) => a + b),
      tokens,
    );
    assert.ok(teacherTokens(filling)[0]! > 0);
    assert.is(await trained(filling), await trained(live));
  },
);

const changes: Record<string, Partial<TrainInput>> = {
  'with two threads': { threads: 2 },
  'with another batch, seed and order': { batch: 6, microBatch: 3, seed: 7, shuffleRows: 5 },
  'with another rank and divergence': { rank: 2, divergence: 'jsd', temperature: 2 },
};

for (const [name, change] of Object.entries(changes)) {
  exact(`a run over it ${name}: the bytes of the live run, and no token asked for`, async () => {
    const run = await outcomeOf({ ...options, ...change, teacherCache: cache });
    assert.ok(teacherTokens(run).every(isZero));
    assert.is(await trained(run), await trained(await outcomeOf({ ...options, ...change })));
  });
}

exact('the second epoch asks for nothing', async () => {
  const run = await outcomeOf({
    ...options,
    shuffleRows: 1,
    epochs: 2,
    steps: undefined,
    teacherCache: freshFolder(),
  });
  const inFirst = recordsOf(run, 'step').filter(({ tokens }) => tokens < filled.tokens).length;
  const asked = teacherTokens(run);
  assert.ok(asked.slice(0, inFirst).some((tokens) => tokens > 0));
  assert.ok(asked.length > inFirst + 5 && asked.slice(inFirst + 1).every(isZero), asked.join());
});

exact('a live run that is stopped and resumed over it: the bytes of one that was neither', async () => {
  const out = join(freshFolder(), 'run');
  const run = train({ ...options, out });
  run.metrics$.subscribe((record) => record.type === 'step' && record.step === 2 && run.stop());
  assert.not((await run.finished).finished);
  const resumed = await outcomeOf({ out, resume: true, teacherCache: cache });
  assert.ok(teacherTokens(resumed).length > 0 && teacherTokens(resumed).every(isZero));
  assert.is(await trained(resumed), await trained(live));
});

exact.run();

const ahead = suite('filled ahead');

ahead('all of the text once; what is there is not read again', async () => {
  assert.is(filled.teacherTokens, filled.tokens);
  const again = await cacheTeacher({ ...kept, out: cache });
  assert.equal([again.tokens, again.teacherTokens], [0, 0]);
});

ahead('the plan has no teacher where all is there, and says what is', async () => {
  const planOf = (change: Partial<TrainInput>) =>
    train({ ...options, ...change, dryRun: true, out: join(freshFolder(), 'run') }).prepared;
  const { memory, teacherCache } = await planOf({ teacherCache: cache });
  assert.is(memory.teacher, undefined);
  assert.equal(teacherCache && { ...teacherCache, storedBytes: 0, freeBytes: 0 }, {
    ...{ folder: cache, dtype: 'f32', isCovered: true, filledOn: undefined, bytesPerToken: 128 },
    ...{ mostBytes: 5 * 4 * 16 * 128, storedBytes: 0, freeBytes: 0 },
  });
  assert.ok(teacherCache!.storedBytes >= filled.tokens * 128);
  const other = await planOf({ teacherCache: cache, evalFraction: 0.2 });
  assert.ok(other.memory.teacher! > 0 && !other.teacherCache!.isCovered);
});

ahead('conversations, truncated: the pieces that train makes of them', async () => {
  const out = freshFolder();
  const talk = { data: [chat], chatTemplate: plainTemplate, sequence: 64 };
  await cacheTeacher({ ...kept, ...talk, out });
  const run = await outcomeOf({ ...options, ...talk, packing: undefined, teacherCache: out });
  assert.ok(teacherTokens(run).every(isZero));
});

ahead('bf16: the same run whether a state was just computed or read', async () => {
  const folder = freshFolder();
  const change = { teacherCache: folder, teacherCacheDtype: 'bf16' as const };
  const first = await outcomeOf({ ...options, ...change });
  const second = await outcomeOf({ ...options, teacherCache: folder });
  assert.is(await trained(second), await trained(first));
  assert.ok(teacherTokens(second).every(isZero));
  assert.is.not(await trained(second), await trained(live));
  const [ours, theirs] = [second, live].map((run) => recordsOf(run, 'step').at(-1)!.kl);
  assert.ok(Math.abs(ours! / theirs! - 1) < 1e-2, `${ours} and ${theirs}`);
});

ahead.run();
