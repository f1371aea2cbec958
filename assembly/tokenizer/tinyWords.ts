/** The ids of words of one and two bytes, for byte-level models with a token for each byte: no search. */
import { allocate, mark, release } from './memory';
import { NONE, pairRank, productOf } from './pairs';
import { tokenId } from './tokens';
import { byteId, hasAllBytes } from './vocabulary';

/** u32 by byte; u32 by two bytes, the first one low, NONE where they stay apart. */
let singles: usize = 0;
let doubles: usize = 0;

export function allocateTinyWords(): void {
  singles = allocate(4 << 8);
  doubles = allocate(4 << 16);
}

/** To be called when merges and tokens of a byte-level model are there. */
export function prepareTinyWords(): void {
  if (!hasAllBytes) return;
  const before = mark();
  const word = allocate(16);
  for (let pair: u32 = 0; pair < 1 << 16; pair++) {
    store<u16>(word, u16(pair));
    const rank = pairRank(byteId(pair & 0xff), byteId(pair >> 8));
    const token = tokenId(word, 2);
    store<u32>(doubles + 4 * usize(pair), token != NONE || rank == NONE ? token : productOf(rank));
    const byte = pair & 0xff;
    const alone = tokenId(word, 1);
    store<u32>(singles + 4 * usize(byte), alone != NONE ? alone : byteId(byte));
  }
  release(before);
}

// @ts-ignore: decorator
@inline
export function isTiny(length: usize): bool {
  return length <= 2 && hasAllBytes;
}

/** Writes the ids of the word to `out` and returns their end. */
// @ts-ignore: decorator
@inline
export function encodeTiny(at: usize, length: usize, out: usize): usize {
  const first = load<u8>(at);
  const whole = length == 1 ? load<u32>(singles + 4 * usize(first)) : load<u32>(doubles + 4 * usize(load<u16>(at)));
  if (whole != NONE) {
    store<u32>(out, whole);
    return out + 4;
  }
  store<u32>(out, byteId(first));
  store<u32>(out, byteId(load<u8>(at, 1)), 4);
  return out + 8;
}
