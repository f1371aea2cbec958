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
  const loading = { doing: 'loading the student', done: 1024, total: 2048, unit: 'MiB' } as const;
  assert.is(line(loading), 'loading the student  1,024 of 2,048 MiB');
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
  // Actors tell at ports of their own, so that theirs may come a little late.
  const known = seen.filter((line) => !/^(reading text|compiling|loading)/.test(line));
  assert.equal(known, [
    ...['starting the device', 'reading models', 'finding text', 'planning'],
    ...['start', 'step', 'checkpoint', 'end'],
  ]);
  assert.ok(seen.includes('compiling the student') && seen.includes('loading the student  0 of 0 MiB'));
});

test.run();
