import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { StepRecord } from '#src/records.js';
import { gpuSuite } from '../devices/gpuDevice.js';
import { makeFixture } from '../fixtures.js';
import { flags, runProgram } from '../run/process.js';

const fixture = makeFixture('soak');
const MOST_GROWTH = 1.05;
const collectGarbage = new URL('collectGarbage.js', import.meta.url).href;
const NODE_OPTIONS = `--unhandled-rejections=strict --trace-warnings --import ${collectGarbage}`;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const { tests, test: onGpu } = gpuSuite('long runs');

for (const { device, count } of [
  { device: 'wasm', count: 20_000 },
  { device: 'webgpu', count: 1000 },
]) {
  const test = device === 'webgpu' ? onGpu : tests;
  test(`${count} steps on ${device}: memory stays flat, and no promise is left alone`, async () => {
    const out = `on-${device}`;
    const options = {
      ...{
        student: fixture.student,
        teacher: fixture.teacher,
        data: [fixture.jsonl],
        batch: 4,
        sequence: 32,
      },
      ...{ steps: count, threads: 2, loraDropout: 0.1, evalFraction: 0.2, evalTokens: 256, evalEvery: 100 },
      ...{ checkpointEvery: 50, device, out },
    };
    const { code, stderr } = await runProgram('train', flags(options), {
      cwd: fixture.folder,
      env: { NODE_OPTIONS, RIVULET_SOFTWARE_GPU: '1' },
    });
    assert.is(code, 0, stderr);
    // Dawn warns of what it makes of a software GPU's limits.
    assert.not.match(stderr.replaceAll(/^Warning: max.*$/gm, ''), /warning|unhandled/i);
    const steps = readFileSync(join(fixture.folder, out, 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as StepRecord)
      .filter(({ type }) => type === 'step');
    assert.is(steps.length, count);
    const quarter = (index: number) =>
      median(steps.slice((index * count) / 4, ((index + 1) * count) / 4).map((step) => step.memory_bytes));
    const mib = [0, 1, 2, 3].map((index) => (quarter(index) / 2 ** 20).toFixed(1));
    console.log(`memory on ${device}, median by quarter: ${mib.join(', ')} MiB`);
    assert.ok(quarter(3) <= MOST_GROWTH * quarter(1), `grew from ${mib[1]} to ${mib[3]} MiB`);
  });
}

tests.run();
