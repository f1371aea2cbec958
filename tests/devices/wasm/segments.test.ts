import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WasmDevice } from '#src/devices/wasm/device.js';
import { layOut } from '#src/devices/wasm/layout.js';
import { Builder } from '#src/program/builder.js';
import { linear } from '#src/program/ops/linear.js';
import type { Module } from '#src/program/types.js';

/** About 20 ms of a thread. */
const SEGMENT_FLOPS = 0.75e9;
const [TOKENS, DEPTH, WIDTH] = [701, 600, 2003];

/** A small product, one of 1.7e9 operations, and another small one. */
function products(): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [TOKENS, DEPTH]);
  const small = b.value('weight', 'small', [DEPTH, DEPTH]);
  const large = b.value('weight', 'large', [WIDTH, DEPTH]);
  const y = b.value('output', 'y', [TOKENS, WIDTH]);
  b.program('run', { arena: 'run' }, () => {
    const hidden = linear(b, 'hidden', [{ x, weight: small }]);
    b.call('linear', [null, hidden, large, null, null], [y], { scale: 1, scale2: 1 });
  });
  return b.module();
}

const numbers = (length: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);

async function outputOn(threads: number): Promise<Buffer> {
  const device = await WasmDevice.start(threads);
  try {
    const session = await device.compile(products());
    for (const name of ['x', 'small', 'large']) {
      const value = session.value(name);
      await session.write(value, numbers(value.shape.reduce((a, b) => a * b)));
    }
    await session.run('run');
    const y = (await session.read(session.value('y'))) as Float32Array<ArrayBuffer>;
    return Buffer.from(y.buffer, y.byteOffset, y.byteLength);
  } finally {
    await device.close();
  }
}

test('a kernel that would keep the pool too long is run in parts: every tile once, with a pause between', () => {
  for (const threads of [1, 2, 3]) {
    const { calls, pauses } = layOut(products(), threads).programs[0]!;
    const whole = layOut(products(), 1000).programs[0]!.calls;
    const tiles = (steps: typeof calls) =>
      steps.flatMap(({ args, first, tiles: count }) =>
        Array.from({ length: count }, (_, i) => JSON.stringify([args, first + i])),
      );
    assert.equal(tiles(calls), tiles(whole));
    assert.is(calls.length > whole.length, threads < 3);
    const budget = SEGMENT_FLOPS * threads;
    for (const [i, to] of pauses.entries()) {
      const flops = calls.slice(pauses[i - 1] ?? 0, to).reduce((sum, step) => sum + step.flops, 0);
      assert.ok(flops < 2 * budget, `${flops} of ${budget}`);
    }
    assert.is(pauses.at(-1), calls.length);
  }
});

test('parts change no bit', async () => {
  const [inThree, inTwo, whole] = [await outputOn(1), await outputOn(2), await outputOn(3)];
  assert.ok(inThree.some((byte) => byte !== 0));
  assert.ok(inThree.equals(whole));
  assert.ok(inTwo.equals(whole));
});

test.run();
