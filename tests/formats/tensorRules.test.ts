import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { SafetensorsDtype } from '#src/formats/safetensors.js';
import { castSource } from '#src/formats/tensors/cast.js';
import { finiteSource } from '#src/formats/tensors/finite.js';
import type { FloatDtype } from '#src/formats/tensors/floats.js';
import { lowRankSource } from '#src/formats/tensors/lowRank.js';
import { CHUNK_ELEMENTS, memorySource, type TensorSource } from '#src/formats/tensors/source.js';
import { sumSource } from '#src/formats/tensors/sum.js';
import { transposeSource } from '#src/formats/tensors/transpose.js';
import { inputErrorOf } from '../inputErrors.js';
import { floatSource, numbers, readAll, readBytes } from './tensors.js';

/** Rules over sources, against plain references; their largest tensors have more than one chunk and cut rows. */

/** Rows of 2063 elements: chunks end inside of them. */
const ODD = [521, 2063] as const;

/** Checks that ranges, also those that cut rows and chunks, give what the whole does. */
async function expectRanges(source: TensorSource, whole: Float32Array): Promise<void> {
  const { length } = whole;
  const cuts = [0, 1, 1030, 1032, CHUNK_ELEMENTS - 1, CHUNK_ELEMENTS + 3, length - 2, length].filter(
    (cut) => cut >= 0 && cut <= length,
  );
  for (const [i, from] of cuts.entries()) {
    const to = cuts[Math.min(cuts.length - 1, i + 3)]!;
    const part = await readAll(source, from, to);
    const wrong = part.findIndex((value, j) => !Object.is(value, whole[from + j]));
    assert.is(wrong, -1, `[${from}, ${to}) at ${wrong}`);
    assert.is(part.length, to - from);
  }
}

const casting = suite('cast');

/** The nearest number with `precision` bits and exponents of `least` and up, ties to even, in plain arithmetic. */
function nearest(x: number, { precision, least, most }: Format): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), least);
  const unit = 2 ** (exponent - precision + 1);
  const units = x / unit;
  const below = Math.floor(units);
  const rest = units - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  const rounded = (below + Number(up)) * unit;
  if (rounded === 0) return x < 0 ? -0 : 0;
  return Math.abs(rounded) > most ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}

interface Format {
  readonly precision: number;
  /** Exponent of the smallest normal number. */
  readonly least: number;
  readonly most: number;
}

const FORMATS: Record<'F16' | 'BF16', Format> = {
  F16: { precision: 11, least: -14, most: 65504 },
  BF16: { precision: 8, least: -126, most: 2 ** 127 * (2 - 2 ** -7) },
};

/** Around every place where rounding changes: ties, the largest and the smallest numbers, subnormals. */
function edges({ precision, least, most }: Format): Float32Array {
  const values: number[] = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const base of [1, 2 ** least, 2 ** (least - 3), 2 ** (least - precision + 1), most]) {
    for (const half of [0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3.5]) {
      const unit = Math.max(2 ** (Math.floor(Math.log2(base)) - precision + 1), 2 ** (least - precision + 1));
      const x = base + half * unit;
      for (const near of [x, Math.fround(x) * (1 - 2 ** -23), Math.fround(x) * (1 + 2 ** -23)])
        values.push(near, -near);
    }
  }
  return Float32Array.from(values);
}

for (const [dtype, format] of Object.entries(FORMATS) as ['F16' | 'BF16', Format][]) {
  casting(`to ${dtype} rounds to nearest, ties to even; back is exact`, async () => {
    const bits = Uint32Array.from({ length: CHUNK_ELEMENTS + 77 }, (_, i) => Math.imul(i, 0x9e3779b1));
    for (const data of [edges(format), new Float32Array(bits.buffer)]) {
      const narrowed = castSource(floatSource('a', [data.length], data), dtype);
      assert.is(narrowed.dtype, dtype);
      const found = await readAll(narrowed);
      const wrong = found.findIndex((value, i) => !Object.is(value, nearest(data[i]!, format)));
      assert.is(
        wrong,
        -1,
        `${data[wrong]} became ${found[wrong]}, expected ${nearest(data[wrong]!, format)}`,
      );
      const wide = castSource(narrowed, 'F32');
      assert.ok((await readAll(wide)).every((value, i) => Object.is(value, found[i])));
      await expectRanges(wide, found);
    }
  });
}

casting('every half widens and comes back as it was, but for signalling NaNs', async () => {
  const halves = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  for (const dtype of ['F16', 'BF16'] as const) {
    const source = memorySource({ name: 'a', dtype, shape: [256, 256] }, halves);
    const back = await readBytes(castSource(castSource(source, 'F32'), dtype));
    const quiet = dtype === 'F16' ? 0x200 : 0x40;
    const wrong = halves.findIndex((half, i) => {
      const expected = Number.isNaN(numberOf(half, dtype)) ? half | quiet : half;
      return back.readUInt16LE(2 * i) !== expected;
    });
    assert.is(wrong, -1, dtype);
  }
});

/** By the definition of the formats. */
function numberOf(half: number, dtype: 'F16' | 'BF16'): number {
  const [fractionBits, bias] = dtype === 'F16' ? [10, 15] : [7, 127];
  const exponent = (half & 0x7fff) >> fractionBits;
  const fraction = half & (2 ** fractionBits - 1);
  if (exponent === (dtype === 'F16' ? 31 : 255))
    return fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? fraction : 2 ** (exponent - bias);
}

casting('a type it has already is the same source; other types are refused by name', async () => {
  const source = floatSource('a', [1], Float32Array.of(1));
  assert.is(castSource(source, 'F32'), source);
  const bytes = memorySource({ name: 'mask', dtype: 'U8', shape: [2] }, Uint8Array.of(1, 2), 'some/file');
  const message = await inputErrorOf(() => readAll(castSource(bytes, 'F32')));
  assert.is(message, 'some/file: tensor mask: expected F32, F16 or BF16, found U8; convert it');
});

casting.run();

const summing = suite('sum');

summing('is added up in f64 and rounded once, in chunks and in ranges', async () => {
  const parts = [1, 2, 3].map((seed) => numbers({ shape: ODD }, seed));
  const halves = castSource(floatSource('c', ODD, parts[2]!), 'BF16');
  const sum = sumSource([floatSource('a', ODD, parts[0]!), floatSource('b', ODD, parts[1]!), halves]);
  assert.equal([sum.name, sum.dtype, sum.shape], ['a', 'F32', ODD]);
  const expected = parts[0]!.map((value, i) => value + parts[1]![i]! + parts[2]![i]!);
  const found = await readAll(sum);
  assert.ok(found.every((value, i) => value === expected[i]));
  await expectRanges(sum, expected);
  const large = [2 ** 30, 1, -(2 ** 30)].map((x, i) => floatSource(`${i}`, [1], Float32Array.of(x)));
  assert.equal(await readAll(sumSource(large)), Float32Array.of(1));
});

summing('of other shapes, or of nothing, is refused', () => {
  const [row, column] = [
    [1, 2],
    [2, 1],
  ].map((shape, i) => floatSource(`t${i}`, shape, new Float32Array(2)));
  assert.throws(() => sumSource([row!, column!]), /expected tensors of \[1,2\], found t1 of \[2,1\]/);
  assert.throws(() => sumSource([]), /expected tensors, found none/);
});

summing.run();

const transposing = suite('transpose');

for (const shape of [
  [1, 7],
  [5, 1],
  [0, 3],
  [521, 2063],
  [3, 400_001],
  [400_001, 3],
] as const) {
  for (const dtype of ['F32', 'BF16'] as const) {
    transposing(`[${shape}] of ${dtype}`, async () => {
      const [rows, columns] = shape;
      const data = numbers({ shape });
      const transposed = transposeSource(castSource(floatSource('a', shape, data), dtype));
      assert.equal(transposed.shape, [columns, rows]);
      assert.is(transposed.dtype, dtype);
      const found = await readAll(transposed);
      assert.is(found.length, data.length);
      const wrong = found.findIndex(
        (value, i) => value !== data[(i % rows) * columns + Math.floor(i / rows)],
      );
      assert.is(wrong, -1);
      await expectRanges(transposed, found);
    });
  }
}

transposing('what is no matrix of weights is refused', async () => {
  assert.throws(
    () => transposeSource(floatSource('a', [4], new Float32Array(4))),
    /expected a matrix, found \[4\]/,
  );
  const ids = memorySource({ name: 'ids', dtype: 'I64', shape: [1, 1] }, new BigInt64Array(1));
  assert.match(
    await inputErrorOf(() => transposeSource(ids)),
    /tensor ids: expected F32, F16 or BF16, found I64/,
  );
});

transposing.run();

const adapting = suite('W + s B A');

for (const [shape, rank, scale] of [
  [[3, 5], 2, 0.5],
  [[1, 1], 1, -2],
  [[3, 7], 8, 1.5],
  [ODD, 6, 1.75],
] as const) {
  adapting(`[${shape}], rank ${rank}: the product in f64, rounded once`, async () => {
    const [rows, columns] = shape;
    const weight = numbers({ shape });
    const [b, a] = [numbers({ shape: [rows, rank] }, 1), numbers({ shape: [rank, columns] }, 2)];
    const product = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let k = 0; k < rank; k++) product[i * columns + j]! += b[i * rank + k]! * a[k * columns + j]!;
    const change = {
      a: castSource(floatSource('a', [rank, columns], a), 'BF16'),
      b: floatSource('b', [rows, rank], b),
      scale,
    };
    const changed = lowRankSource(castSource(floatSource('w', shape, weight), 'BF16'), [change]);
    assert.equal([changed.name, changed.dtype, changed.shape], ['w', 'F32', shape]);
    const found = await readAll(changed);
    const wrong = found.findIndex((value, i) => {
      const exact = weight[i]! + scale * product[i]!;
      return !(Math.abs(value - exact) <= 2 ** -24 * Math.abs(exact) + 1e-30);
    });
    assert.is(wrong, -1);
    assert.ok(found.some((value, i) => value !== weight[i]));
    await expectRanges(changed, found);
  });
}

adapting('factors of another shape are refused', () => {
  const weight = floatSource('w', [2, 3], new Float32Array(6));
  const factor = (...shape: number[]) => floatSource('f', shape, numbers({ shape }));
  const refused = /tensor w: expected a matrix, B \[out, rank\] and A \[rank, in\], found \[2,3\], /;
  const fits = { a: factor(2, 3), b: factor(2, 2), scale: 1 };
  lowRankSource(weight, [fits]);
  for (const wrong of [{ b: factor(3, 2) }, { a: factor(1, 3) }, { a: factor(6) }]) {
    assert.throws(() => lowRankSource(weight, [fits, { ...fits, ...wrong }]), refused);
  }
});

adapting('several changes are added up in f64 and rounded once', async () => {
  // 1 + 2^-24 is a tie in F32, which goes to 1: rounded one after the other, the changes would be lost.
  const one = floatSource('w', [1, 1], Float32Array.of(1));
  const tiny = {
    a: floatSource('a', [1, 1], Float32Array.of(2 ** -12)),
    b: floatSource('b', [1, 1], Float32Array.of(2 ** -11)),
    scale: 0.5,
  };
  assert.equal(await readAll(lowRankSource(one, [tiny])), Float32Array.of(1));
  assert.equal(await readAll(lowRankSource(one, [tiny, tiny])), Float32Array.of(1 + 2 ** -23));
  assert.equal(await readAll(lowRankSource(one, [])), Float32Array.of(1));
});

adapting.run();

const finite = suite('finite numbers');

for (const dtype of ['F32', 'F16', 'BF16'] as const) {
  finite(`${dtype}: every bit pattern of an exponent is told from those that are numbers`, async () => {
    const width = dtype === 'F32' ? 4 : 2;
    const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
    for (let i = 0; i < patterns.length; i += 61) {
      // Alone, at the front, at the end of an odd number of elements.
      for (const [length, at] of [
        [1, 0],
        [5, 0],
        [5, 4],
      ] as const) {
        const data = new Uint8Array(length * width);
        new DataView(data.buffer).setUint16(at * width + width - 2, patterns[i]!, true);
        const isNumber = Number.isFinite((await readAll(memoryOf(data, dtype, [length])))[at]);
        const read = () => readAll(finiteSource(memoryOf(data, dtype, [length])));
        if (isNumber) await read();
        else assert.match(await inputErrorOf(read), `at [${at}];`);
      }
    }
  });
}

const memoryOf = (data: Uint8Array, dtype: FloatDtype, shape: readonly number[]): TensorSource =>
  memorySource({ name: 'w', dtype: dtype as SafetensorsDtype, shape }, data, 'm/model.safetensors');

finite(
  'the first one is named with file, tensor and place, also in a later chunk and in a range',
  async () => {
    const data = numbers({ shape: ODD });
    const source = finiteSource({ ...floatSource('h.w', ODD, data), origin: 'm/model.safetensors' });
    assert.equal((await readBytes(source)).length, data.byteLength);
    const at = 510 * 2063 + 17;
    data[at] = Number.NEGATIVE_INFINITY;
    data[at + 1] = Number.NaN;
    const expected =
      'm/model.safetensors: tensor h.w: expected finite numbers, found -Infinity at [510, 17]; ' +
      'fetch or make the file again';
    assert.is(await inputErrorOf(() => readAll(source)), expected);
    assert.is(await inputErrorOf(() => readAll(source, at - 5, at + 5)), expected);
    assert.match(await inputErrorOf(() => readAll(source, at + 1)), /found NaN at \[510, 18\]/);
    await readAll(source, at + 2);
  },
);

finite.run();
