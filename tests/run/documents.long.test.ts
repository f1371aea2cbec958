import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readRunFile } from '#src/formats/runFile.js';
import type { StepRecord } from '#src/records.js';
import { compressed, parquet } from '../data/documents/support.js';
import { makeFixture, makeText } from '../fixtures.js';
import { FakeHub } from '../hub/server.js';
import { inputErrorOf } from '../inputErrors.js';
import { adapterBytes, flags, runProgram } from './process.js';

/** Whole runs on text from everywhere. */

const fixture = makeFixture('documents');
const fresh = () => mkdtempSync(join(fixture.folder, 'documents-'));

const texts = Array.from({ length: 30 }, (_, i) => makeText(100 + i, 30 + i));
const lines = texts.map((text, i) => (i % 6 === 2 ? '{"text":' : JSON.stringify({ text })));
const content = `${lines.join('\n')}\n`;

/** Files of several kinds, some of their documents bad. @returns the options of a run on them */
function runOn(folder: string): TrainInput {
  const zst = join(folder, 'a.jsonl.zst');
  const table = join(folder, 'b.parquet');
  writeFileSync(zst, compressed('zst', content, [700, 1900, 4000]));
  writeFileSync(
    table,
    parquet(
      texts.map((text) => text.toUpperCase()),
      { rowGroupSize: 8, pageSize: 500 },
    ),
  );
  return {
    ...{ student: fixture.student, data: [`${zst}:0.7`, `${table}:0.3`], onBadDocument: 'skip' },
    ...{ batch: 4, microBatch: 2, sequence: 16, shuffleRows: 7, steps: 40, checkpointEvery: 1000 },
    ...{ evalFraction: 0.1, evalTokens: 64, evalEvery: 1000, threads: 1, lr: 1e-2 },
    out: join(folder, 'run'),
  };
}

/** Runs until a step, or to the end. */
async function run(options: TrainInput, until = Number.POSITIVE_INFINITY): Promise<void> {
  const training = train(options);
  training.metrics$.subscribe({
    next: (record) => record.type === 'step' && record.step === until && training.stop(),
    error: () => {},
  });
  await training.finished;
}

function recordsIn(out: string): StepRecord[] {
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as StepRecord).filter(({ type }) => type === 'step');
}

function stepsOf(out: string) {
  return recordsIn(out).map(({ step, loss, skipped_documents }) => ({ step, loss, skipped_documents }));
}

test('weighted, compressed and partly bad text: a run stopped anywhere ends as one never stopped', async () => {
  const folder = fresh();
  const options = runOn(folder);
  await run(options);
  const out = join(folder, 'stopped');
  for (const until of [1, 2, 9, 23]) await run({ ...options, out, resume: until > 1 }, until);
  await run({ ...options, out, resume: true });
  assert.equal(stepsOf(out), stepsOf(options.out!));
  assert.ok(adapterBytes(out).equals(adapterBytes(options.out!)));
  const told = stepsOf(out).flatMap(({ skipped_documents }) => skipped_documents ?? []);
  assert.is(told.at(-1)!.total, 5);
  assert.equal(
    told.flatMap(({ found }) => found.map((message) => Number(/line (\d+)/.exec(message)![1]))),
    [3, 9, 15, 21, 27],
  );
});

test('best-fit rows: padding is reported and no token of it counts; a stopped run ends as one never stopped', async () => {
  const folder = fresh();
  const options: TrainInput = { ...runOn(folder), packing: 'best-fit', sequence: 24, steps: 10 };
  await run(options);
  const out = join(folder, 'stopped');
  for (const until of [1, 4]) await run({ ...options, out, resume: until > 1 }, until);
  await run({ ...options, out, resume: true });
  assert.equal(stepsOf(out), stepsOf(options.out!));
  assert.ok(adapterBytes(out).equals(adapterBytes(options.out!)));
  let tokens = 0;
  for (const record of recordsIn(out)) {
    tokens += Math.round((1 - record.padding) * 4 * 24);
    assert.is(record.tokens, tokens);
  }
  assert.ok(tokens < 10 * 4 * 24);
});

test('a file that changed under a resumed run: one line, and the run stays as it was', async () => {
  const folder = fresh();
  const options = runOn(folder);
  await run(options, 3);
  const before = readFileSync(join(options.out!, 'metrics.jsonl'));
  appendFileSync(join(folder, 'b.parquet'), 'more');
  assert.match(
    await inputErrorOf(() => run({ ...options, resume: true })),
    /b\.parquet: expected the file that the run began with \(size and hash \d+-\w+\), found .*; restore the data/,
  );
  assert.ok(readFileSync(join(options.out!, 'metrics.jsonl')).equals(before));
});

test('a dataset on the Hub: as from files, at a commit that the run keeps', async () => {
  const files = {
    'data/a.jsonl.gz': compressed('gz', content, [900]),
    'data/b.csv': Buffer.from('text\nfirst one\n'),
  };
  const hub = await FakeHub.start('someone/texts', files, ['main'], 'dataset');
  try {
    const cwd = fresh();
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(cwd, path.slice(5)), bytes);
    const base = { ...runOn(cwd), steps: 3 };
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(cwd, 'cache') };
    const remote = { ...base, data: ['hf://datasets/someone/texts/data/*'], out: 'remote' };
    const { code, stderr } = await runProgram('train', flags(remote), { cwd, env });
    assert.is(code, 0, stderr);
    await runProgram('train', flags({ ...base, data: ['a.jsonl.gz', 'b.csv'], out: 'local' }), { cwd });
    assert.ok(adapterBytes(join(cwd, 'remote')).equals(adapterBytes(join(cwd, 'local'))));
    assert.equal(readRunFile(join(cwd, 'remote'))!.commits, { 'datasets/someone/texts@main': hub.commit });
  } finally {
    await hub.close();
  }
});

test.run();
