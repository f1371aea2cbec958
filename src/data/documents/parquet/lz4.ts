import { Problem } from '../problems.js';
import { repeat } from './snappy.js';

const SHORTEST_MATCH = 4;
/** A length of four bits that goes on in the bytes that follow. */
const LONG = 15;

/**
 * Decompresses an LZ4 block, as Parquet's pages have it under the name LZ4_RAW: literals and matches in turn, each
 * sequence after a byte with both lengths (lz4_Block_format.md of the LZ4 project).
 * @throws Problem unless it gives exactly `length` bytes
 */
export function unlz4(input: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let [from, to] = [0, 0];
  const lengthOf = (start: number): number => {
    let total = start;
    if (start < LONG) return total;
    for (let byte = 255; byte === 255; total += byte) {
      if (from >= input.length || total > length) throw broken(from);
      byte = input[from++]!;
    }
    return total;
  };
  while (from < input.length) {
    const token = input[from++]!;
    const literals = lengthOf(token >> 4);
    if (from + literals > input.length || to + literals > length) throw broken(from);
    output.set(input.subarray(from, from + literals), to);
    [from, to] = [from + literals, to + literals];
    // The last sequence has literals alone.
    if (from === input.length) break;
    if (from + 2 > input.length) throw broken(from);
    const offset = input[from]! + 256 * input[from + 1]!;
    from += 2;
    const size = SHORTEST_MATCH + lengthOf(token & LONG);
    if (offset === 0 || offset > to || to + size > length) throw broken(from);
    repeat(output, to, offset, size);
    to += size;
  }
  if (to !== length) throw broken(from);
  return output;
}

const broken = (at: number): Problem =>
  new Problem(`expected LZ4, found other bytes ${at} bytes into a page; fetch the file again`, {
    endsFile: true,
  });
