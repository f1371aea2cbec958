import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceHosts } from '#src/devices/host.js';
import { planOn } from '#src/devices/wasm/layout.js';
import type { TrainInput } from '#src/options/train.js';
import { totalBytes } from '#src/prepare/memory.js';
import { type Preparation, prepare } from '#src/prepare/prepare.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { makeFixture, STUDENT, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What a run chooses from the memory plan. */

const fixture = makeFixture('prepare');
const student = writeModel(join(fixture.folder, 'deep'), { ...STUDENT, num_hidden_layers: 8 }, 6);
const base = { student, data: [fixture.text], batch: 64, sequence: 32, out: join(fixture.folder, 'run') };

/** Devices that are never started, with so much memory for a model. */
function devicesOf(maxSessionBytes: number): DeviceHosts {
  const host = {
    info: {
      name: 'wasm',
      description: '',
      kernels: 'wasm',
      maxSessionBytes,
      maxTotalBytes: Infinity,
      microBatchTokens: 2048,
      lossScaling: false,
    },
    plan: planOn,
  };
  return { student: host, teacher: host } as unknown as DeviceHosts;
}

const prepared = (options: Partial<TrainInput>, bytes = Number.POSITIVE_INFINITY): Promise<Preparation> =>
  prepare(resolveOptions({ ...base, ...options }), devicesOf(bytes), () => {});

async function bytesOf(microBatch: number, recompute: 'on' | 'off'): Promise<number> {
  return totalBytes((await prepared({ microBatch, recompute })).plans.student);
}

/** The rows and the recompute that a device with so much memory leads to, as recorded, planned and trained with. */
async function chosen(bytes: number, options: Partial<TrainInput> = {}): Promise<[number, string]> {
  const { microBatch, options: recorded, student, plans } = await prepared(options, bytes);
  assert.ok(totalBytes(plans.student) <= bytes);
  assert.is(recorded.microBatch, microBatch);
  assert.is(student.train.rows, microBatch);
  assert.is(recorded.recompute, student.recompute ? 'on' : 'off');
  return [microBatch, recorded.recompute];
}

const test = suite('recompute and micro-batch');

test('whole micro-batches of 2,048 tokens, nothing recomputed, where that fits', async () => {
  assert.equal(await chosen(await bytesOf(64, 'off')), [64, 'off']);
});

test('smaller micro-batches down to 512 tokens rather than recompute', async () => {
  assert.equal(await chosen((await bytesOf(64, 'off')) - 1), [32, 'off']);
  assert.equal(await chosen(await bytesOf(16, 'off')), [16, 'off']);
});

test('then recompute, with the largest micro-batch that fits', async () => {
  const limit = (await bytesOf(16, 'off')) - 1;
  const [rows, recompute] = await chosen(limit);
  assert.is(recompute, 'on');
  assert.ok(rows >= 16, `${rows} rows`);
  assert.ok((await bytesOf(rows, 'on')) <= limit && (rows === 64 || (await bytesOf(2 * rows, 'on')) > limit));
  assert.equal(await chosen(await bytesOf(1, 'on')), [1, 'on']);
});

test('a batch of fewer tokens is tried as a whole first', async () => {
  const small = { batch: 4 };
  const whole = await prepared({ ...small, recompute: 'off' });
  assert.equal(await chosen(totalBytes(whole.plans.student), small), [4, 'off']);
  assert.equal(await chosen(totalBytes(whole.plans.student) - 1, small), [4, 'on']);
});

test('what is given holds', async () => {
  const limit = (await bytesOf(64, 'off')) - 1;
  assert.equal(await chosen(limit, { microBatch: 64 }), [64, 'on']);
  assert.equal(await chosen(Number.POSITIVE_INFINITY, { recompute: 'on' }), [64, 'on']);
  assert.equal(await chosen((await bytesOf(2, 'off')) - 1, { recompute: 'off' }), [1, 'off']);
});

test('what fits in no way is refused, with recompute as a way out where it was off', async () => {
  const limit = (await bytesOf(1, 'on')) - 1;
  assert.match(
    await inputErrorOf(() => prepared({}, limit)),
    /^expected models of at most .*, found student .*; use smaller models, a shorter --sequence, a lower --rank or a smaller --micro-batch$/,
  );
  assert.match(
    await inputErrorOf(() => prepared({ recompute: 'off' }, limit)),
    /a shorter --sequence, a lower --rank, --recompute on or a smaller --micro-batch$/,
  );
});

test.run();
