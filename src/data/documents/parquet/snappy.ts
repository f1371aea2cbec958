import { Problem } from '../problems.js';

/**
 * Decompresses raw snappy, as Parquet's pages have it.
 * @throws Problem unless it gives exactly `length` bytes
 */
export function unsnappy(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let [from, to] = [afterPreamble(input), 0];
  while (from < input.length) {
    const tag = input[from++]!;
    const kind = tag & 3;
    if (kind === 0) {
      const extra = Math.max(0, (tag >> 2) - 59);
      const size = 1 + (extra > 0 ? littleEndian(input, from, extra) : tag >> 2);
      from += extra;
      if (from + size > input.length || to + size > length) throw broken(from);
      output.set(input.subarray(from, from + size), to);
      [from, to] = [from + size, to + size];
    } else {
      const extra = [0, 1, 2, 4][kind]!;
      const offset = littleEndian(input, from, extra) + (kind === 1 ? (tag >> 5) * 256 : 0);
      const size = kind === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
      from += extra;
      if (offset === 0 || offset > to || to + size > length) throw broken(from);
      repeat(output, to, offset, size);
      to += size;
    }
  }
  if (to !== length) throw broken(from);
  return output;
}

/** Behind the length, a varint that the page's header says, too. */
function afterPreamble(input: Uint8Array): number {
  const end = input.findIndex((byte) => byte < 128);
  if (end < 0 || end > 4) throw broken(0);
  return end + 1;
}

function littleEndian(input: Uint8Array, at: number, bytes: number): number {
  if (at + bytes > input.length) throw broken(at);
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + input[at + i]!;
  return value;
}

/** Copies from `offset` bytes back; what it writes may be what it reads next. */
export function repeat(bytes: Uint8Array, to: number, offset: number, size: number): void {
  if (offset >= size) {
    bytes.copyWithin(to, to - offset, to - offset + size);
    return;
  }
  for (let i = 0; i < size; i++) bytes[to + i] = bytes[to + i - offset]!;
}

const broken = (at: number): Problem =>
  new Problem(`expected snappy, found other bytes ${at} bytes into a page; fetch the file again`, {
    endsFile: true,
  });
