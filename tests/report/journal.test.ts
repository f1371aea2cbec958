import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CheckpointRecord, EvalRecord } from '#src/records.js';
import { Journal } from '#src/report/journal.js';
import { temporaryFolder } from '../support.js';

const folder = temporaryFolder('journal');
const checkpoint = (step: number): CheckpointRecord => ({ type: 'checkpoint', step, path: `é${step}` });
const evaluation: EvalRecord = { type: 'eval', step: 1, nll: 2, perplexity: 7.4, tokens: 3 };
const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => (line === '' ? line : JSON.parse(line)));

test('a record that is still being made holds back those after it', async () => {
  const path = join(folder, 'order.jsonl');
  const journal = new Journal(path, 0);
  let finish: (record: EvalRecord) => void = () => {};
  journal.append(checkpoint(1));
  journal.append(
    new Promise<EvalRecord>((resolve) => {
      finish = resolve;
    }),
  );
  journal.append(checkpoint(2));
  const flushed = journal.flushed();
  finish(evaluation);
  assert.is(await flushed, readFileSync(path).length);
  journal.close();
  assert.equal(linesOf(path), [checkpoint(1), evaluation, checkpoint(2), '']);
});

test('what lies behind the bytes of the run is cut off', async () => {
  const path = join(folder, 'cut.jsonl');
  const kept = `${JSON.stringify(checkpoint(1))}\n`;
  writeFileSync(path, `${kept}{"type":"step","st`);
  const journal = new Journal(path, Buffer.byteLength(kept));
  journal.append(checkpoint(2));
  assert.is(await journal.flushed(), readFileSync(path).length);
  journal.close();
  assert.equal(linesOf(path), [checkpoint(1), checkpoint(2), '']);
});

test('a record that fails rejects the flush, and nothing is written after it', async () => {
  const path = join(folder, 'failed.jsonl');
  const journal = new Journal(path, 0);
  journal.append(checkpoint(1));
  journal.append(Promise.reject(new Error('no evaluation')));
  journal.append(checkpoint(2));
  const failure = await journal.flushed().then(
    () => undefined,
    (error: Error) => error.message,
  );
  journal.close();
  assert.is(failure, 'no evaluation');
  assert.equal(linesOf(path), [checkpoint(1), '']);
});

test.run();
