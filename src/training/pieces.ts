import { createHash } from 'node:crypto';
import type { MicroBatch } from '../messages.js';

/** Consecutive tokens of one document, which a model reads together: see `data/packing/rows.ts`. */
export interface PieceTokens {
  /** Slot of its first token in the micro-batch. */
  readonly first: number;
  readonly count: number;
  /** The first 128 bits of the SHA-256 of its token ids (u32, little-endian), in hexadecimal digits. */
  readonly key: string;
}

const KEY_DIGITS = 32;

/** The pieces in the rows of a micro-batch, in order; padding is none. */
export function piecesOf({
  tokens,
  positions,
  filled,
}: Pick<MicroBatch, 'tokens' | 'positions' | 'filled'>): PieceTokens[] {
  const sequence = tokens.length / filled.length;
  const pieces: PieceTokens[] = [];
  filled.forEach((slots, row) => {
    const end = row * sequence + slots;
    for (let first = row * sequence; first < end; ) {
      let next = first + 1;
      while (next < end && positions[next] !== 0) next++;
      pieces.push({ first, count: next - first, key: keyOf(tokens.subarray(first, next)) });
      first = next;
    }
  });
  return pieces;
}

function keyOf(tokens: Uint32Array): string {
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  return createHash('sha256').update(bytes).digest('hex').slice(0, KEY_DIGITS);
}
