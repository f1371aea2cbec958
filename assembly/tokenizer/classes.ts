/** Classes of characters, as bits: \p{L}, \p{N} and \s of a Split pattern, and what the Digits pre-tokenizer takes. */
import { codePointAt, utf8Length } from './utf8';

export const LETTER: u32 = 1;
export const NUMBER: u32 = 2;
export const SPACE: u32 = 4;
/** Of a newer Unicode version than NUMBER: a few more characters. */
export const DIGIT: u32 = 8;

/** Two stages: u16 by code point >> 8, the block; u8 by block << 8 | low byte, the class. Block 0 begins with ASCII. */
let blockOf: usize = 0;
let blocks: usize = 0;

/** Takes the tables that were written to `index` and `classes`. */
export function setClasses(index: usize, classes: usize): void {
  blockOf = index;
  blocks = classes;
}

/** The class of the character at `at`. */
// @ts-ignore: decorator
@inline
export function classAt(at: usize): u32 {
  const lead = load<u8>(at);
  return lead < 0x80 ? u32(load<u8>(blocks + lead)) : classOf(codePointAt(at, utf8Length(lead)));
}

function classOf(codePoint: u32): u32 {
  const block = usize(load<u16>(blockOf + ((codePoint >> 8) << 1)));
  return u32(load<u8>(blocks + ((block << 8) | (codePoint & 0xff))));
}
