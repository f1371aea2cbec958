import { train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProgressRecord } from '#src/records.js';
import { startingLine } from '#src/report/starting.js';
import { makeFixture } from '../fixtures.js';

const fixture = makeFixture('starting');

test('a line says what is done and how far it is', () => {
  const line = (record: Omit<ProgressRecord, 'type'>) => startingLine({ type: 'progress', ...record });
  assert.is(line({ doing: 'finding text' }), 'finding text');
  assert.is(line({ doing: 'reading text', done: 12345, unit: 'tokens' }), 'reading text  12,345 tokens');
  assert.is(line({ doing: 'loading', done: 1, total: 3, unit: 'threads' }), 'loading  1 of 3 threads');
});

test('a run tells what it does before its first step, and metrics.jsonl does not', async () => {
  const run = train({
    ...{ student: fixture.student, data: [fixture.jsonl], out: `${fixture.folder}/starting` },
    ...{ batch: 2, sequence: 16, steps: 1, device: 'wasm', threads: 1, evalFraction: 0 },
  });
  const seen: string[] = [];
  run.metrics$.subscribe((record) => {
    seen.push(record.type === 'progress' ? startingLine(record) : record.type);
  });
  await run.finished;
  const known = seen.filter((line) => !line.startsWith('reading'));
  assert.equal(known, [
    ...['finding text', 'planning', 'loading  0 of 2 threads', 'loading  1 of 2 threads'],
    ...['loading  2 of 2 threads', 'start', 'step', 'checkpoint', 'end'],
  ]);
});

test.run();
