import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StepRecord } from '#src/messages.js';
import { makeFixture } from '../fixtures.js';
import { flags, runProgram } from '../run/process.js';

const fixture = makeFixture('soak');
const STEPS = 2000;
const MOST_GROWTH = 1.05;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

test(`${STEPS} steps: memory stays flat, and no promise is left alone`, async () => {
  const options = {
    ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl], batch: 4, sequence: 32 },
    ...{ steps: STEPS, threads: 2, loraDropout: 0.1, evalFraction: 0.2, evalTokens: 256, evalEvery: 100 },
    ...{ checkpointEvery: 50, out: 'run' },
  };
  const { code, stderr } = await runProgram('train', flags(options), {
    cwd: fixture.folder,
    env: { NODE_OPTIONS: '--unhandled-rejections=strict --trace-warnings' },
  });
  assert.is(code, 0, stderr);
  assert.not.match(stderr, /warning|unhandled/i);
  const steps = readFileSync(join(fixture.folder, 'run', 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as StepRecord)
    .filter(({ type }) => type === 'step');
  assert.is(steps.length, STEPS);
  const quarter = (index: number) =>
    median(steps.slice((index * STEPS) / 4, ((index + 1) * STEPS) / 4).map((step) => step.memory_bytes));
  const mib = [0, 1, 2, 3].map((index) => (quarter(index) / 2 ** 20).toFixed(1));
  console.log(`memory, median by quarter: ${mib.join(', ')} MiB`);
  assert.ok(quarter(3) <= MOST_GROWTH * quarter(1), `grew from ${mib[1]} to ${mib[3]} MiB`);
});

test.run();
