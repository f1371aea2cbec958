/** Which ids a text begins with, before any merge. */
import { allocate } from './memory';
import { NONE } from './pairs';
import { codePointAt, utf8Length } from './utf8';

const CODE_POINTS: u32 = 0x110000;

/**
 * u32 by code point, and by byte: the id of its token plus 1, 0 where there is none. Byte-level models have no code
 * points; their bytes are the symbols, elsewhere what a character without a token falls back to.
 */
let symbols: usize = 0;
let bytes: usize = 0;

let byteLevel: bool = false;
let unknown: u32 = NONE;
let fuseUnknown: bool = false;

/** `unknownId` is NONE where symbols without a token are dropped. */
export function allocateVocabulary(asBytes: bool, unknownId: u32, fuse: bool): void {
  byteLevel = asBytes;
  unknown = unknownId;
  fuseUnknown = fuse;
  if (!byteLevel) symbols = allocate(4 * CODE_POINTS);
  bytes = allocate(4 * 256);
}

export function setSymbol(codePoint: u32, id: u32): void {
  store<u32>(symbols + 4 * codePoint, id + 1);
}

export function setByte(byte: u32, id: u32): void {
  store<u32>(bytes + 4 * byte, id + 1);
}

/**
 * The ids of the symbols of valid UTF-8 in [at, end), written to `out`; returns how many: at most one a byte.
 * A character without a token becomes its bytes where all of them have tokens, else the unknown token. As in the
 * Hugging Face library, an unknown token is written when the next symbol with a token (or the end) is reached:
 * after bytes that came in between.
 */
export function splitSymbols(at: usize, end: usize, out: usize): u32 {
  const start = out;
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
