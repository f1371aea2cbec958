import { Problem } from '../problems.js';

/**
 * Decodes the values of a page; every length is checked against what is there before anything is made of it, so that a
 * damaged page is an error, soon and in little memory. @see https://parquet.apache.org/docs/file-format/data-pages/encodings/
 */
export class PageReader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** The next `length` bytes. */
  take(length: number): Buffer {
    if (!(length >= 0) || this.at + length > this.bytes.length) throw broken('a length beyond its end');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  /** Unsigned, of at most 32 bits. */
  varint(): number {
    let value = 0;
    for (let shift = 1; shift < 2 ** 35; shift *= 128) {
      const [byte] = this.take(1);
      value += (byte! & 127) * shift;
      if (byte! < 128) {
        if (value >= 2 ** 32) break;
        return value;
      }
    }
    throw broken('a number that is too long');
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** Runs of one value, and values packed into `width` bits each: levels, and indices into a dictionary. */
export function hybrid(reader: PageReader, width: number, count: number): Uint32Array {
  if (width > 32) throw broken(`values of ${width} bits`);
  const values = new Uint32Array(count);
  for (let filled = 0; filled < count; ) {
    const header = reader.varint();
    if (header % 2 === 0) {
      const run = Math.min(header / 2, count - filled);
      if (run === 0) throw broken('an empty run');
      const value = reader.take((width + 7) >> 3).reduceRight((sum, byte) => sum * 256 + byte, 0);
      values.fill(value, filled, filled + run);
      filled += run;
    } else {
      const run = Math.min(((header - 1) / 2) * 8, count - filled);
      if (run === 0) throw broken('an empty run');
      // The last group may be cut to what its values take.
      const length = Math.min(((header - 1) / 2) * width, reader.bytes.length - reader.at);
      if (length * 8 < run * width) throw broken('packed values that are cut off');
      unpack(reader.take(length), width, values.subarray(filled, filled + run));
      filled += run;
    }
  }
  return values;
}

/** Values of `width` bits, the lowest bit of the first byte first. */
function unpack(packed: Buffer, width: number, values: Uint32Array): void {
  let bit = 0;
  for (let i = 0; i < values.length; i++) {
    let value = 0;
    for (let done = 0; done < width; ) {
      const here = Math.min(8 - (bit & 7), width - done);
      const part = (packed[bit >> 3]! >> (bit & 7)) & ((1 << here) - 1);
      value += part * 2 ** done;
      done += here;
      bit += here;
    }
    values[i] = value;
  }
}

/** Each value's length, then the value. */
export function plainTexts(reader: PageReader, count: number): Buffer[] {
  if (count > (reader.bytes.length - reader.at) / 4) throw broken(`${count} values`);
  return Array.from({ length: count }, () => reader.take(reader.uint32()));
}

/** Whole numbers back to back, little-endian. */
export function plainNumbers(reader: PageReader, count: number, bytes: number): Buffer[] {
  if (count > (reader.bytes.length - reader.at) / bytes) throw broken(`${count} values`);
  return Array.from({ length: count }, () => reader.take(bytes));
}

/** Whole numbers of 32 bits as differences, in the form of `plainNumbers`. */
export function deltaNumbers(reader: PageReader, count: number, bytes: number): Buffer[] {
  return Array.from(deltas(reader, count), (value) => {
    const number = Buffer.alloc(bytes, value < 0 ? 0xff : 0);
    number.writeInt32LE(value);
    return number;
  });
}

/** All lengths, then all values. */
export function deltaLengthTexts(reader: PageReader, count: number): Buffer[] {
  return Array.from(deltas(reader, count), (length) => reader.take(length));
}

/** The lengths of what each value shares with the one before it, then the rest of each. */
export function deltaTexts(reader: PageReader, count: number): Buffer[] {
  const prefixes = deltas(reader, count);
  const suffixes = deltaLengthTexts(reader, count);
  let previous: Buffer = Buffer.alloc(0);
  let total = 0;
  return suffixes.map((suffix, i) => {
    const prefix = prefixes[i]!;
    if (prefix < 0 || prefix > previous.length) throw broken('a prefix longer than the value before it');
    total += prefix;
    if (total > MOST_SHARED_BYTES) throw broken(`more than ${MOST_SHARED_BYTES} bytes of prefixes`);
    previous = prefix === 0 ? suffix : Buffer.concat([previous.subarray(0, prefix), suffix]);
    return previous;
  });
}

/** What a page may grow to by its values' prefixes. */
const MOST_SHARED_BYTES = 2 ** 28;

/** Integers as differences, packed in blocks of miniblocks (DELTA_BINARY_PACKED, 32 bits). */
function deltas(reader: PageReader, count: number): Int32Array {
  const blockValues = reader.varint();
  const miniblocks = reader.varint();
  const total = reader.varint();
  const perMiniblock = blockValues / miniblocks;
  if (total !== count || !Number.isInteger(perMiniblock) || perMiniblock % 8 !== 0 || perMiniblock === 0) {
    throw broken('a header of deltas that can not be');
  }
  const values = new Int32Array(count);
  let value = reader.zigzag();
  if (count > 0) values[0] = value;
  for (let filled = 1; filled < count; ) {
    const least = reader.zigzag();
    const widths = reader.take(miniblocks);
    for (let m = 0; m < miniblocks && filled < count; m++) {
      const width = widths[m]!;
      if (width > 32) throw broken(`deltas of ${width} bits`);
      const packed = new Uint32Array(Math.min(perMiniblock, count - filled));
      unpack(reader.take((perMiniblock * width) / 8), width, packed);
      for (const delta of packed) {
        value = (value + least + delta) | 0;
        values[filled++] = value;
      }
    }
  }
  return values;
}

export const broken = (found: string): Problem =>
  new Problem(`expected a Parquet page, found ${found}; fetch the file again`, { endsFile: true });
