/** Which ids a text begins with, before any merge. */
import { allocate } from './memory';
import { NONE, pairRank } from './pairs';
import { codePointAt, utf8Length } from './utf8';

const CODE_POINTS: u32 = 0x110000;

/**
 * u32 by code point, and by byte: the id of its token plus 1, 0 where there is none. Byte-level models have no code
 * points; their bytes are the symbols, elsewhere what a character without a token falls back to.
 */
let symbols: usize = 0;
let bytes: usize = 0;

/** u32 by two bytes of a byte-level model: the rank of merging their tokens. It stays in the cache. */
let byteRanks: usize = 0;

let byteLevel: bool = false;
/** Every byte of a byte-level model has a token. */
export let hasAllBytes: bool = false;
let unknown: u32 = NONE;
let fuseUnknown: bool = false;

/** `unknownId` is NONE where symbols without a token are dropped. */
export function allocateVocabulary(asBytes: bool, unknownId: u32, fuse: bool): void {
  byteLevel = asBytes;
  unknown = unknownId;
  fuseUnknown = fuse;
  if (byteLevel) byteRanks = allocate(4 << 16);
  else symbols = allocate(4 * CODE_POINTS);
  bytes = allocate(4 * 256);
}

export function setSymbol(codePoint: u32, id: u32): void {
  store<u32>(symbols + 4 * codePoint, id + 1);
}

export function setByte(byte: u32, id: u32): void {
  store<u32>(bytes + 4 * byte, id + 1);
}

/** To be called behind the merges of a byte-level model. */
export function setByteRanks(): void {
  hasAllBytes = true;
  for (let byte: u32 = 0; byte < 256; byte++) if (byteId(byte) == NONE) hasAllBytes = false;
  for (let pair: u32 = 0; pair < 1 << 16; pair++) {
    store<u32>(byteRanks + 4 * usize(pair), pairRank(byteId(pair & 0xff), byteId(pair >> 8)));
  }
}

/** The token of a byte, NONE where there is none. */
// @ts-ignore: decorator
@inline
export function byteId(byte: u32): u32 {
  return load<u32>(bytes + 4 * usize(byte)) - 1;
}

/** Writes the rank of merging each of the symbols at `ids`, which are those of the text at `at`, with the next one. */
export function rankPairs(at: usize, ids: usize, count: u32, ranks: usize): void {
  if (count == 0) return;
  const last: usize = 4 * (usize(count) - 1);
  if (hasAllBytes) {
    for (let i: usize = 0; i < last; i += 4) {
      store<u32>(ranks + i, load<u32>(byteRanks + 4 * usize(load<u16>(at + (i >> 2)))));
    }
  } else {
    for (let i: usize = 0; i < last; i += 4) {
      store<u32>(ranks + i, pairRank(load<u32>(ids + i), load<u32>(ids + i, 4)));
    }
  }
  store<u32>(ranks + last, NONE);
}

/**
 * The ids of the symbols of valid UTF-8 in [at, end), written to `out`; returns how many: at most one a byte.
 * A character without a token becomes its bytes where all of them have tokens, else the unknown token. As in the
 * Hugging Face library, an unknown token is written when the next symbol with a token (or the end) is reached:
 * after bytes that came in between.
 */
export function splitSymbols(at: usize, end: usize, out: usize): u32 {
  const start = out;
  if (hasAllBytes) {
    for (; at < end; at++) out = append(out, byteId(load<u8>(at)));
    return u32(out - start) >> 2;
  }
  let pending = false;
  while (at < end) {
    const length: usize = byteLevel ? 1 : utf8Length(load<u8>(at));
    const symbol = byteLevel ? byteSymbol(at) : load<u32>(symbols + 4 * codePointAt(at, length));
    if (symbol != 0) {
      if (pending) out = append(out, unknown);
      pending = false;
      out = append(out, symbol - 1);
    } else if (!byteLevel && haveBytes(at, length)) {
      for (let i: usize = 0; i < length; i++) out = append(out, byteSymbol(at + i) - 1);
    } else if (unknown != NONE) {
      if (pending && !fuseUnknown) out = append(out, unknown);
      pending = true;
    }
    at += length;
  }
  if (pending) out = append(out, unknown);
  return u32(out - start) >> 2;
}

// @ts-ignore: decorator
@inline
function append(out: usize, id: u32): usize {
  store<u32>(out, id);
  return out + 4;
}

// @ts-ignore: decorator
@inline
function byteSymbol(at: usize): u32 {
  return load<u32>(bytes + 4 * usize(load<u8>(at)));
}

function haveBytes(at: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) {
    if (byteSymbol(at + i) == 0) return false;
  }
  return true;
}
