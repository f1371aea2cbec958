import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import {
  DTYPE_BYTES,
  openSafetensors,
  readFloat32,
  type SafetensorsDtype,
  type TensorData,
  type TensorInfo,
  tensorChunks,
  writeSafetensors,
} from '#src/formats/safetensors.js';
import { CHUNK_ELEMENTS } from '#src/formats/tensors/source.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

const folder = temporaryFolder('safetensors');
const scratch = join(folder, 'scratch.safetensors');

function file(header: unknown, dataBytes: number, name = 'crafted.safetensors'): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return raw(Buffer.concat([length, json, Buffer.alloc(dataBytes)]), name);
}

function raw(bytes: Uint8Array, name = 'crafted.safetensors'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const f32 = (shape: unknown, begin: number, end: number) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

function bytesOf(info: TensorInfo, from?: number, to?: number): Buffer {
  return Buffer.concat([...tensorChunks(info, from, to)].map(({ bytes }) => Buffer.from(bytes)));
}

const tensorData: fc.Arbitrary<TensorData> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(DTYPE_BYTES) as SafetensorsDtype[])),
    shape: fc.array(fc.nat(5), { maxLength: 3 }),
    seed: fc.nat(255),
  })
  .map(({ dtype, shape, seed }) => {
    const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    return { dtype, shape, data: Uint8Array.from({ length: bytes }, (_, i) => seed + 7 * i) };
  });
const tensorMap = fc.uniqueArray(fc.tuple(fc.string(), tensorData), {
  selector: ([name]) => name,
  maxLength: 6,
});

test('what is written is read, in bytes that depend on the tensors alone', () => {
  const check = (entries: [string, TensorData][], metadata: Record<string, string>, cuts: number[]) => {
    writeSafetensors(scratch, new Map(entries), metadata);
    const written = readFileSync(scratch);
    assert.is(written.readBigUInt64LE() % 8n, 0n);
    const opened = openSafetensors(scratch);
    assert.equal({ ...opened.metadata }, metadata);
    assert.equal([...opened.tensors.keys()].sort(), entries.map(([name]) => name).sort());
    for (const [name, { dtype, shape, data }] of entries) {
      const info = opened.tensors.get(name)!;
      assert.is(info.dtype, dtype);
      assert.equal(info.shape, shape);
      assert.is(info.byteOffset % DTYPE_BYTES[dtype], 0, 'aligned');
      assert.ok(bytesOf(info).equals(data as Uint8Array));
      const length = data.byteLength / DTYPE_BYTES[dtype];
      const [from, to] = [Math.floor(length * Math.min(...cuts)), Math.ceil(length * Math.max(...cuts))];
      const part = (data as Uint8Array).subarray(from * DTYPE_BYTES[dtype], to * DTYPE_BYTES[dtype]);
      assert.ok(bytesOf(info, from, to).equals(part));
    }
    writeSafetensors(
      scratch,
      new Map(entries.toReversed()),
      Object.fromEntries(Object.entries(metadata).reverse()),
    );
    assert.ok(readFileSync(scratch).equals(written));
  };
  const name = fc.string().filter((key) => key !== '__proto__');
  fc.assert(
    fc.property(
      tensorMap.filter((entries) => entries.every(([key]) => key !== '__metadata__')),
      fc.dictionary(name, fc.string(), { noNullPrototype: true, maxKeys: 3 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 2 }),
      check,
    ),
    { seed: 1, numRuns: 150 },
  );
});

test('the bytes of a small file, to the letter', () => {
  writeSafetensors(
    scratch,
    new Map<string, TensorData>([
      ['b', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }],
      ['a', { dtype: 'F32', shape: [], data: Float32Array.of(-2) }],
    ]),
    { format: 'pt' },
  );
  const header =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' +
    '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const expected = Buffer.concat([
    Buffer.alloc(8),
    Buffer.from(padded),
    Buffer.from([0, 0, 0, 0xc0, 0, 0, 0x80, 0x3f]),
  ]);
  expected.writeBigUInt64LE(BigInt(padded.length));
  assert.ok(readFileSync(scratch).equals(expected));
});

test('a tensor whose data is not of its shape is not written', () => {
  const wrong = new Map<string, TensorData>([['a', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]]);
  assert.throws(
    () => writeSafetensors(join(folder, 'never.safetensors'), wrong),
    /expected 12 bytes.*found 8/,
  );
  assert.not.ok(readdirSync(folder).some((name) => name.includes('never')));
});

const length = (value: bigint, rest = '') => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return Buffer.concat([bytes, Buffer.from(rest)]);
};

const MALFORMED: [string, () => string, RegExp][] = [
  ['an empty file', () => raw(Buffer.alloc(0)), /byte 0: expected at least 8 bytes, found 0/],
  ['seven bytes', () => raw(Buffer.alloc(7)), /byte 0: .*found 7/],
  [
    'a header length of zero',
    () => raw(length(0n, '{}')),
    /byte 0: expected a header length from 2 .*found 0/,
  ],
  ['a header length beyond all bounds', () => raw(length(2n ** 63n, '{}')), /found 9223372036854775808/],
  ['a header beyond 100 MB', () => raw(length(100_000_001n, '{}')), /found 100000001/],
  ['a header longer than the file', () => raw(length(3n, '{}')), /header of 3 bytes, found a file of 10/],
  [
    'a header that is not UTF-8',
    () => raw(Buffer.concat([length(2n), Buffer.from([0x7b, 0xff])])),
    /byte 8: .*UTF-8/,
  ],
  ['a header that is not JSON', () => file('{"a":', 0), /byte 8: expected a header in JSON/],
  ['a byte order mark', () => file('\ufeff{}', 0), /byte 8: expected a header in JSON/],
  ['an array as the header', () => file([], 0), /byte 8: expected a JSON object/],
  ['null as the header', () => file('null', 0), /byte 8: expected a JSON object/],
  ['metadata with a number', () => file({ __metadata__: { a: 1 } }, 0), /__metadata__/],
  ['metadata of null', () => file({ __metadata__: null }, 0), /__metadata__/],
  ['an entry that is a number', () => file({ a: 1 }, 0), /tensor a: entry/],
  [
    'an entry without a shape',
    () => file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4),
    /tensor a: shape/,
  ],
  ['an entry without offsets', () => file({ a: { dtype: 'F32', shape: [1] } }, 4), /tensor a: data_offsets/],
  [
    'an entry with an unknown field',
    () => file({ a: { ...f32([1], 0, 4), strides: [1] } }, 4),
    /tensor a: .*strides/,
  ],
  [
    'an unknown dtype',
    () => file({ a: { dtype: 'F4', shape: [2], data_offsets: [0, 1] } }, 1),
    /dtype of .*found "F4"/,
  ],
  [
    'an inherited name as dtype',
    () => file({ a: { ...f32([1], 0, 4), dtype: 'toString' } }, 4),
    /found "toString"/,
  ],
  ['a negative size', () => file({ a: f32([-1], 0, 4) }, 4), /tensor a: shape\.0/],
  ['a fractional size', () => file({ a: f32([1.5], 0, 6) }, 6), /tensor a: shape\.0/],
  ['a negative offset', () => file({ a: f32([1], -4, 0) }, 4), /tensor a: data_offsets\.0/],
  [
    'three offsets',
    () => file({ a: { ...f32([1], 0, 4), data_offsets: [0, 4, 4] } }, 4),
    /tensor a: data_offsets/,
  ],
  [
    'offsets the wrong way round',
    () => file({ a: f32([0], 4, 0) }, 4),
    /tensor a: expected 0 bytes .*found -4/,
  ],
  [
    'a shape larger than its range',
    () => file({ a: f32([2], 0, 4) }, 4),
    /tensor a: expected 8 bytes \(F32 \[2\]\), found 4/,
  ],
  ['a shape smaller than its range', () => file({ a: f32([1], 0, 8) }, 8), /tensor a: expected 4 bytes/],
  [
    'sizes whose product overflows',
    () => file({ a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4),
    /tensor a: expected 4\.8.*bytes/,
  ],
  ['an overlap', () => file({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), /tensor b at byte .*overlap/],
  [
    'the same range twice',
    () => file({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4),
    /tensor b at byte .*overlap/,
  ],
  ['a hole', () => file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), /tensor b at byte .*hole of 4 bytes/],
  ['a hole at the start', () => file({ a: f32([1], 4, 8) }, 8), /tensor a at byte .*hole of 4 bytes/],
  ['data cut short', () => file({ a: f32([2], 0, 8) }, 7), /expected \d+ bytes, found \d+/],
  ['data past the last tensor', () => file({ a: f32([2], 0, 8) }, 9), /expected \d+ bytes, found \d+/],
  [
    'a duplicate name',
    () => file(`{"a":${JSON.stringify(f32([1], 0, 4))},"a":${JSON.stringify(f32([1], 4, 8))}}`, 8),
    /hole/,
  ],
  [
    'control characters in a name',
    () => file({ 'a\n\u0007': f32([2], 0, 4) }, 4),
    /tensor a {2}: expected 8|tensor a : expected 8/,
  ],
  ['no file', () => join(folder, 'absent'), /absent: expected a safetensors file.*ENOENT/],
  ['a folder', () => folder, /expected a safetensors file, found something else/],
];

for (const [what, make, expected] of MALFORMED) {
  test(`refused with path and place: ${what}`, async () => {
    const path = make();
    const message = await inputErrorOf(() => openSafetensors(path));
    assert.ok(message.startsWith(`${path}: `), message);
    assert.match(message, expected);
  });
}

test('zero-sized tensors and scalars are accepted anywhere', () => {
  const path = file(
    { z: f32([0, 3], 4, 4), s: f32([], 0, 4), y: f32([0], 0, 0), x: f32([2 ** 50, 0], 0, 0) },
    4,
  );
  assert.is(openSafetensors(path).tensors.size, 4);
  assert.is(openSafetensors(file({}, 0)).tensors.size, 0);
});

test('a name that objects inherit is an ordinary name', () => {
  const header = `{"__proto__":${JSON.stringify(f32([1], 0, 4))},"constructor":${JSON.stringify(f32([1], 4, 8))}}`;
  assert.equal([...openSafetensors(file(header, 8)).tensors.keys()], ['__proto__', 'constructor']);
});

test('a file cut at any byte is refused', async () => {
  const data = Uint8Array.from({ length: 12 }, (_, i) => i);
  writeSafetensors(scratch, new Map<string, TensorData>([['a', { dtype: 'F32', shape: [3], data }]]));
  const whole = readFileSync(scratch);
  for (let cut = 0; cut < whole.length; cut++) {
    const message = await inputErrorOf(() => openSafetensors(raw(whole.subarray(0, cut))));
    assert.match(message, /byte \d+: /);
  }
});

test('a file with any bytes changed is read whole or refused', () => {
  writeSafetensors(
    scratch,
    new Map<string, TensorData>([
      ['weights', { dtype: 'BF16', shape: [2, 3], data: new Uint16Array(6) }],
      ['scale', { dtype: 'F32', shape: [4], data: new Float32Array(4) }],
    ]),
  );
  const whole = readFileSync(scratch);
  const change = fc.tuple(
    fc.nat(whole.length - 1),
    fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0129[]{},:"-'))),
  );
  let accepted = 0;
  const check = (changes: [number, number][]) => {
    const bytes = Buffer.from(whole);
    for (const [at, value] of changes) bytes[at] = value;
    try {
      for (const info of openSafetensors(raw(bytes)).tensors.values())
        assert.is(bytesOf(info).length, info.byteLength);
      accepted++;
    } catch (error) {
      assert.instance(error, InputError);
    }
  };
  fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), check), { seed: 2, numRuns: 1500 });
  assert.ok(accepted > 0 && accepted < 1500, `${accepted} accepted`);
});

test('a tensor streams through one buffer of a chunk, whole or from any element on', () => {
  const length = 2 * CHUNK_ELEMENTS + 5;
  const data = Uint16Array.from({ length }, (_, i) => i * 31);
  writeSafetensors(scratch, new Map<string, TensorData>([['a', { dtype: 'BF16', shape: [length], data }]]));
  const info = openSafetensors(scratch).tensors.get('a')!;
  const buffers = new Set<ArrayBufferLike>();
  for (const [from, to, sizes] of [
    [0, length, [CHUNK_ELEMENTS, CHUNK_ELEMENTS, 5]],
    [7, CHUNK_ELEMENTS + 9, [CHUNK_ELEMENTS, 2]],
    [9, 9, []],
  ] as const) {
    const found: number[] = [];
    for (const { first, bytes } of tensorChunks(info, from, to)) {
      buffers.add(bytes.buffer);
      assert.is(bytes.byteOffset % 8, 0);
      assert.is(first, from + found.length * CHUNK_ELEMENTS);
      const part = data.subarray(first, first + bytes.length / 2);
      assert.ok(Buffer.from(part.buffer, part.byteOffset, part.byteLength).equals(bytes));
      found.push(bytes.length / 2);
    }
    assert.equal(found, sizes);
  }
  assert.is(buffers.size, 1);
  for (const [from, to] of [
    [-1, 2],
    [3, 2],
    [0, length + 1],
    [0.5, 2],
  ]) {
    assert.throws(
      () => [...tensorChunks(info, from, to)],
      /tensor a: expected a range of its 2097157 elements/,
    );
  }
});

test('a read inside a read does not disturb it', () => {
  const entries = ['a', 'b'].map((name, i): [string, TensorData] => [
    name,
    { dtype: 'U8', shape: [64], data: new Uint8Array(64).fill(i + 1) },
  ]);
  writeSafetensors(scratch, new Map(entries));
  const { tensors } = openSafetensors(scratch);
  for (const { bytes } of tensorChunks(tensors.get('a')!)) {
    assert.ok(bytesOf(tensors.get('b')!).every((value) => value === 2));
    assert.ok(bytes.every((value) => value === 1));
  }
});

test('a file that shrinks after it was opened is refused with the place', async () => {
  writeSafetensors(
    scratch,
    new Map<string, TensorData>([['a', { dtype: 'U8', shape: [64], data: new Uint8Array(64) }]]),
  );
  const info = openSafetensors(scratch).tensors.get('a')!;
  truncateSync(scratch, info.byteOffset + 10);
  const message = await inputErrorOf(() => bytesOf(info, 4, 16));
  assert.match(message, new RegExp(`byte ${info.byteOffset + 10}: expected 6 more bytes`));
});

test('F32, F16 and BF16 convert to float32; other dtypes are refused', async () => {
  const long = 5 * 1024 * 1024 + 3;
  const half = new Uint16Array(long).map((_, i) => i);
  const entries: [string, TensorData][] = [
    ['f32', { dtype: 'F32', shape: [2], data: Float32Array.of(Math.PI, -0) }],
    ['f16', { dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0x0001, 0xfc00) }],
    ['bf16', { dtype: 'BF16', shape: [long], data: half }],
    ['i32', { dtype: 'I32', shape: [1], data: Int32Array.of(1) }],
  ];
  writeSafetensors(scratch, new Map(entries));
  const { tensors } = openSafetensors(scratch);
  assert.equal(readFloat32(tensors.get('f32')!), Float32Array.of(Math.PI, -0));
  assert.equal(readFloat32(tensors.get('f16')!), Float32Array.of(1, 2 ** -24, Number.NEGATIVE_INFINITY));
  const bits = new Uint32Array(readFloat32(tensors.get('bf16')!).buffer);
  assert.is(bits.length, long);
  assert.ok(bits.every((value, i) => value === (half[i]! << 16) >>> 0));
  assert.match(
    await inputErrorOf(() => readFloat32(tensors.get('i32')!)),
    /tensor i32: expected F32.*found I32/,
  );
});

test.run();
