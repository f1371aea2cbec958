import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';

/** A stop once a run has begun to write, but before its first step. */

const fixture = makeFixture('stop-early');
const options: TrainInput = {
  ...{ student: fixture.student, data: [fixture.text], batch: 2, sequence: 16, shuffleRows: 16, steps: 1 },
  ...{ evalData: fixture.text, device: 'wasm', threads: 1 },
};

/** Stops as soon as metrics.jsonl has a line. */
async function stopAtOnce(more: Partial<TrainInput>) {
  const run = train({ ...options, ...more } as TrainInput);
  run.metrics$.subscribe(({ type }) => {
    if (type === 'start') run.stop();
  });
  return run.finished;
}

test('leaves nothing, so that the run can begin there anew', async () => {
  const parent = mkdtempSync(join(fixture.folder, 'stop-'));
  const out = join(parent, 'a', 'run');
  assert.equal(await stopAtOnce({ out }), { out, steps: 0, finished: false });
  assert.equal(readdirSync(parent), []);
  const { finished } = await train({ ...options, out }).finished;
  assert.ok(finished);
});

test('leaves what was there before', async () => {
  const out = mkdtempSync(join(fixture.folder, 'stop-'));
  mkdirSync(join(out, 'checkpoints'));
  writeFileSync(join(out, 'notes.txt'), 'mine');
  await stopAtOnce({ out });
  assert.equal(readdirSync(out).sort(), ['checkpoints', 'notes.txt']);
});

test('leaves a run that was killed before its first step, and goes on, as one that can', async () => {
  const out = join(mkdtempSync(join(fixture.folder, 'stop-')), 'run');
  await train({ ...options, out }).finished;
  for (const name of ['checkpoints', 'adapter']) rmSync(join(out, name), { recursive: true });
  const metrics = join(out, 'metrics.jsonl');
  const [start] = readFileSync(metrics, 'utf8').split('\n');
  writeFileSync(metrics, `${start}\n`);
  await stopAtOnce({ out, resume: true });
  assert.ok(existsSync(join(out, 'run.json')));
  const { finished, steps } = await train({ out, resume: true } as TrainInput).finished;
  assert.equal([finished, steps], [true, 1]);
});

test.run();
