import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HostArray } from '#src/devices/device.js';
import { Builder } from '#src/program/builder.js';
import type { DType, Module } from '#src/program/types.js';
import { type Compile, messageOf } from './support.js';

const LARGER_THAN_STAGING = [3, 2 ** 19 + 1];

/** A value of each element type, of an odd number of elements, and one that no program uses; no programs. */
function storage(): Module {
  const b = new Builder();
  for (const dtype of ['f32', 'bf16', 'f16', 'u32', 'i32'] as DType[]) b.value('state', dtype, [3, 7], dtype);
  b.value('state', 'large', LARGER_THAN_STAGING);
  b.activation('unused', [4]);
  return b.module();
}

/** Writing and reading. */
export function addValues(test: Test, compile: Compile): void {
  test('values start as zeros and keep what is written, in every type', async () => {
    const session = await compile(storage());
    for (const [name, array] of [
      ['f32', Float32Array],
      ['bf16', Uint16Array],
      ['f16', Uint16Array],
      ['u32', Uint32Array],
      ['i32', Int32Array],
    ] as const) {
      const value = session.value(name);
      assert.equal(await session.read(value), new array(21));
      const data = new array(21).map((_, i) => 3 * i + 1);
      await session.write(value, data);
      assert.equal(await session.read(value), data);
    }
    await session.close();
  });

  test('a part is written without touching its neighbours, at any offset', async () => {
    const session = await compile(storage());
    const value = session.value('bf16');
    for (let from = 0; from < 21; from++) {
      for (const length of [0, 1, 2, 3, 21 - from]) {
        if (from + length > 21) continue;
        const before = Uint16Array.from({ length: 21 }, (_, i) => 100 + i);
        await session.write(value, before);
        const part = Uint16Array.from({ length }, (_, i) => 900 + i);
        await session.write(value, part, from);
        before.set(part, from);
        assert.equal(await session.read(value), before, `${length} from ${from} on`);
      }
    }
    await session.close();
  });

  test('a range is read, from any element on, in every type', async () => {
    const session = await compile(storage());
    for (const name of ['f32', 'bf16', 'i32']) {
      const value = session.value(name);
      const array = name === 'f32' ? Float32Array : name === 'i32' ? Int32Array : Uint16Array;
      const data = new array(21).map((_, i) => 7 * i + 1);
      await session.write(value, data);
      for (let from = 0; from <= 21; from++) {
        assert.equal(await session.read(value, from), data.slice(from), `${name} from ${from} on`);
        for (const length of [0, 1, 2, 3].filter((count) => from + count <= 21))
          assert.equal(await session.read(value, from, length), data.slice(from, from + length));
      }
      assert.match(await messageOf(() => session.read(value, 20, 2)), 'its 21 elements, found 20 to 22');
      assert.match(await messageOf(() => session.read(value, -1, 2)), 'found -1 to 1');
    }
    await session.close();
  });

  test('large values, and arrays in shared memory, are copied whole before the call returns', async () => {
    const session = await compile(storage());
    const value = session.value('large');
    const data = new Float32Array(new SharedArrayBuffer(4 * 3 * (2 ** 19 + 1)));
    for (let i = 0; i < data.length; i++) data[i] = i;
    await session.write(value, data);
    const read = await session.read(value);
    assert.is(read.length, data.length);
    assert.is(
      read.findIndex((x, i) => x !== i),
      -1,
    );
    const small = Float32Array.of(1, 2, 3);
    const written = session.write(session.value('f32'), small);
    small.fill(9);
    await written;
    assert.equal((await session.read(session.value('f32'))).slice(0, 3), Float32Array.of(1, 2, 3));
    await session.close();
  });

  test('wrong types, lengths and offsets are refused, and so is what has no storage', async () => {
    const session = await compile(storage());
    const value = session.value('f32');
    for (const [data, offset, message] of [
      [
        new Int32Array(1),
        0,
        'expected at most 21 elements of f32 in a Float32Array, found 1 in a Int32Array',
      ],
      [new Float32Array(22), 0, 'found 22 in a Float32Array from 0 on'],
      [new Float32Array(20), 2, 'found 20 in a Float32Array from 2 on'],
      [new Float32Array(1), -1, 'from -1 on'],
      [new Float32Array(1), 0.5, 'from 0.5 on'],
      [new Float32Array(1), Number.NaN, 'from NaN on'],
    ] as [HostArray, number, string][]) {
      assert.match(await messageOf(() => session.write(value, data, offset)), message);
    }
    assert.equal(await session.read(value), new Float32Array(21));
    const { value: unused } = { value: session.value('unused#6') };
    const nowhere = /unused#6 has no storage: no program uses it/;
    assert.match(await messageOf(() => session.read(unused)), nowhere);
    assert.match(await messageOf(() => session.write(unused, new Float32Array(4))), nowhere);
    assert.match(await messageOf(() => session.value('nothing')), 'Expected a value named nothing');
    await session.close();
  });
}
