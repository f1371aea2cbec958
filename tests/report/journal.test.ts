import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hashFile } from '#src/formats/hashes.js';
import type { CheckpointRecord, EvalRecord } from '#src/records.js';
import { Journal } from '#src/report/journal.js';
import { temporaryFolder } from '../support.js';

const folder = temporaryFolder('journal');
const checkpoint = (step: number): CheckpointRecord => ({ type: 'checkpoint', step, path: `é${step}` });
const evaluation: EvalRecord = {
  type: 'eval',
  step: 1,
  nll: 2,
  perplexity: 7.4,
  tokens: 3,
  busy: { seconds: 1, share: 0.5, waited: 0 },
};
const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => (line === '' ? line : JSON.parse(line)));

const writtenIn = async (path: string) => ({ bytes: readFileSync(path).length, hash: await hashFile(path) });

test('a record that is still being made holds back those after it', async () => {
  const path = join(folder, 'order.jsonl');
  const journal = await Journal.open(path, 0);
  let finish: (records: EvalRecord[]) => void = () => {};
  journal.append(checkpoint(1));
  const told: unknown[] = [];
  const expected = journal.expect(
    1,
    new Promise<EvalRecord[]>((resolve) => {
      finish = resolve;
    }),
    (records) => told.push(records, readFileSync(path, 'utf8').split('\n').length),
  );
  journal.append(checkpoint(2));
  const flushed = journal.flushed();
  finish([evaluation]);
  await expected;
  assert.equal(told, [[evaluation], 3], 'told once it is in the file, and nothing after it');
  assert.equal(await flushed, await writtenIn(path));
  journal.close();
  assert.equal(linesOf(path), [checkpoint(1), evaluation, checkpoint(2), '']);
});

test('what lies behind the bytes of the run is cut off', async () => {
  const path = join(folder, 'cut.jsonl');
  const kept = `${JSON.stringify(checkpoint(1))}\n`;
  writeFileSync(path, `${kept}{"type":"step","st`);
  const journal = await Journal.open(path, Buffer.byteLength(kept));
  journal.append(checkpoint(2));
  assert.equal(await journal.flushed(), await writtenIn(path));
  journal.close();
  assert.equal(linesOf(path), [checkpoint(1), checkpoint(2), '']);
});

test('a record that fails rejects the flush, and holds back those after it until the end', async () => {
  const path = join(folder, 'failed.jsonl');
  const journal = await Journal.open(path, 0);
  journal.append(checkpoint(1));
  const failing = journal.expect(1, Promise.reject(new Error('no evaluation')));
  failing.catch(() => {});
  journal.append(checkpoint(2));
  const failure = await journal.flushed().then(
    () => undefined,
    (error: Error) => error.message,
  );
  assert.is(failure, 'no evaluation');
  assert.equal(linesOf(path), [checkpoint(1), '']);
  journal.close();
  assert.equal(linesOf(path), [checkpoint(1), checkpoint(2), '']);
});

test('a record that never comes holds nothing back when the run is over', async () => {
  const path = join(folder, 'pending.jsonl');
  const journal = await Journal.open(path, 0);
  journal.append(checkpoint(0));
  await journal.flushed();
  const written = await writtenIn(path);
  void journal.expect(1, new Promise<EvalRecord[]>(() => {}));
  for (const step of [1, 2]) journal.append(checkpoint(step));
  const held = [{ evaluation: 1 }, checkpoint(1), checkpoint(2)];
  assert.equal(await journal.flushedOr(Promise.resolve(), [1], () => linesOf(path).length), {
    ...written,
    held,
    asked: 2,
  });
  journal.close();
  assert.equal(linesOf(path), [checkpoint(0), checkpoint(1), checkpoint(2), '']);
});

test('what is asked for after a stop is not asked for again when the evaluation comes after all', async () => {
  const journal = await Journal.open(join(folder, 'asked.jsonl'), 0);
  let finish: (records: EvalRecord[]) => void = () => {};
  const expected = journal.expect(
    1,
    new Promise<EvalRecord[]>((resolve) => {
      finish = resolve;
    }),
  );
  let asked = 0;
  await journal.flushedOr(Promise.resolve(), [1], () => ++asked);
  finish([evaluation]);
  await expected;
  await journal.flushed();
  journal.close();
  assert.is(asked, 1);
});

test('a file that is shorter than its run never grows by what nobody wrote', async () => {
  const path = join(folder, 'short.jsonl');
  writeFileSync(path, 'x\n');
  for (const bytes of [3, 9e11]) {
    const failure = await Journal.open(path, bytes).then(
      () => undefined,
      (error: Error) => error.message,
    );
    assert.is(failure, `${path}: expected at least ${bytes} bytes, found 2; restore the file`);
  }
  assert.is(readFileSync(path, 'utf8'), 'x\n');
});

test('a link is not written through', async () => {
  const [path, elsewhere] = [join(folder, 'link.jsonl'), join(folder, 'elsewhere')];
  writeFileSync(elsewhere, 'kept');
  symlinkSync(elsewhere, path);
  const failure = await Journal.open(path, 0).then(
    () => undefined,
    (error: Error) => error.message,
  );
  assert.match(failure!, /ELOOP/);
  assert.is(readFileSync(elsewhere, 'utf8'), 'kept');
});

test.run();
