import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheTeacher, evaluate, type TrainInput, tokenize, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { QMSUM_DEFAULTS, type QmsumOptions } from '#src/options/qmsum.js';
import { MEETING, meetingLines, OTHER, QUERIES } from '../data/meetings.js';
import { makeChatFiles, makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** Whole runs on meetings: stopped inside of one, from token shards, with a cache of the teacher. */

const fixture = makeFixture('meetings');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'meetings-'));
const meetings = join(fixture.folder, 'meetings.jsonl');
const many = Array.from({ length: 6 }, (_, i) => ({
  ...MEETING,
  specific_query_list: QUERIES.map((query) => ({ ...query, query: `${query.query} ${i}` })),
}));
writeFileSync(meetings, meetingLines([...many, OTHER]));
const qmsum: QmsumOptions = { ...QMSUM_DEFAULTS, tokens: 20, keep: 'ends' };
/** What is asked is longer than the model's 128 positions. */
const base: TrainInput = {
  ...{ student: fixture.student, data: [meetings], qmsum, longDocuments: 'split', evalFraction: 0 },
  ...{ batch: 4, microBatch: 2, sequence: 64, threads: 1, shuffleRows: 4, checkpointEvery: 1, keep: 9 },
  ...{ lr: 1e-2, warmup: 0, schedule: 'constant', seed: 3 },
};
const isSame = (a: { adapter: Buffer }, b: { adapter: Buffer }) => a.adapter.equals(b.adapter);

test('a run that goes on ends with the bytes of one that did not stop, wherever it stopped', async () => {
  const whole = await outcomeOf({ ...base, steps: 8 });
  for (let steps = 1; steps < 8; steps += 2) {
    const { out } = await outcomeOf({ ...base, steps });
    assert.ok(isSame(await outcomeOf({ resume: true, out, steps: 8 }), whole), `stopped after ${steps}`);
  }
  const refused = /^--resume: expected the options of the run: --qmsum \{.* \(found \{.*; leave them out/;
  const other: TrainInput = { resume: true, out: whole.out, qmsum: { tokens: 21 } };
  assert.match(await inputErrorOf(() => train(other).finished), refused);
});

test('token shards give the rows of the text, and the same examples', async () => {
  const shards = join(freshFolder(), 'shards');
  const { documents } = await tokenize({ model: fixture.student, data: [meetings], qmsum, out: shards });
  assert.is(documents, 13);
  for (const examples of [undefined, 5]) {
    const setting = { ...base, examples, steps: 4 };
    assert.ok(
      isSame(await outcomeOf({ ...setting, data: [shards] }), await outcomeOf(setting)),
      `${examples}`,
    );
  }
});

test('a cache that was filled for all of it needs no teacher for a part', async () => {
  const out = join(freshFolder(), 'cache');
  const { teacher } = fixture;
  await cacheTeacher({
    ...{ model: teacher, data: [meetings], qmsum, out },
    ...{ sequence: 64, longDocuments: 'split', evalFraction: 0, threads: 1 },
  });
  const taught = { ...base, teacher, packing: 'best-fit', examples: 6, steps: 3 } as const;
  const [cached, live] = [await outcomeOf({ ...taught, teacherCache: out }), await outcomeOf(taught)];
  assert.ok(isSame(cached, live));
  for (const { teacher_tokens } of recordsOf(cached, 'step')) assert.is(teacher_tokens, 0);
});

test('evaluate reads what train reads', async () => {
  const scored = async (options: QmsumOptions) =>
    evaluate({
      ...{ model: fixture.student, perplexity: meetings, qmsum: options, sequence: 64, threads: 1 },
    });
  assert.is((await scored(qmsum)).documents, 13);
  const all = await scored({ ...qmsum, queries: 'all' });
  assert.is(all.documents, 20);
  const run = await outcomeOf({ ...base, evalData: meetings, evalTokens: 100_000, steps: 1 });
  const { nll, tokens } = recordsOf(run, 'eval')[0]!;
  const { nll: expected, tokens: count } = await scored(qmsum);
  assert.is(tokens, count);
  assert.ok(Math.abs(nll - expected) < 1e-6);
});

test('asked in a chat', async () => {
  const { plainTemplate: chatTemplate } = makeChatFiles(fixture.folder);
  const chat: QmsumOptions = { ...qmsum, prompt: 'chat' };
  const [asked, plain] = [
    await outcomeOf({ ...base, qmsum: chat, chatTemplate, steps: 2 }),
    await outcomeOf({ ...base, steps: 2 }),
  ];
  assert.not(isSame(asked, plain));
  assert.match(
    await inputErrorOf(() => train({ ...base, qmsum: chat, steps: 2 }).finished),
    /meetings\.jsonl:1#0: expected a model with a chat template for conversations, found one without; /,
  );
});

test.after(() => rmSync(fixture.folder, { recursive: true, force: true }));

test.run();
