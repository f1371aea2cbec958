import { hashOf } from './bytes';
import { allocate } from './memory';
import { mergeWord } from './merge';
import { NONE } from './pairs';
import { allocateRecords, findRecord, keepRecord, LONGEST_RECORDED } from './records';
import { wordEnd } from './split';
import { encodeTiny, isTiny } from './tinyWords';
import { tokenId } from './tokens';
import { utf8Length } from './utf8';

/** Words of up to 15 bytes with up to 11 ids are remembered in one slot of 64 bytes. */
const SHORT: usize = 15;
const SHORT_IDS: usize = 11;
const SET_BITS: u64 = 13;

/**
 * Sets of two slots: the word's bytes with zeros up to byte 15, which is its length (0: empty); u32 the number of ids,
 * u32 x 11 the ids. New words go into the second slot, and into the first one when they come again.
 */
let sets: usize = 0;

/** 16 bytes of ones, then 16 zeros: loaded at 16 - length, ones for the bytes of a word. */
let ones: usize = 0;

export function allocateWords(): void {
  sets = allocate(u64(128) << SET_BITS);
  ones = allocate(32);
  memory.fill(ones, 0xff, 16);
  memory.fill(ones + 16, 0, 16);
  allocateRecords();
}

/**
 * The ids of [at, end), one word after the other, as `way` says where words end; a word is remembered. Returns the end
 * of what was written to `out`, behind which 44 bytes are scratch.
 */
export function encodeWords(way: u32, at: usize, end: usize, out: usize): usize {
  while (at < end) {
    const stop = wordEnd(way, at, end);
    out = encodeWord(at, stop, out);
    at = stop;
  }
  return out;
}

/** The same for words given by their lengths in UTF-16 units, `count` u32 at `lengths`. */
export function encodePieces(lengths: usize, count: u32, at: usize, out: usize): usize {
  for (let i: usize = 0; i < usize(count); i++) {
    let stop = at;
    for (let left = i32(load<u32>(lengths + 4 * i)); left > 0; left--) {
      const length = utf8Length(load<u8>(stop));
      if (length == 4) left--;
      stop += length;
    }
    out = encodeWord(at, stop, out);
    at = stop;
  }
  return out;
}

// @ts-ignore: decorator
@inline
function encodeWord(at: usize, end: usize, out: usize): usize {
  const length = end - at;
  if (isTiny(length)) return encodeTiny(at, length, out);
  if (length > SHORT) return encodeLong(at, length, out);
  const key = i8x16.replace_lane(v128.and(v128.load(at), v128.load(ones + 16 - length)), 15, i8(length));
  const set = setOf(key);
  if (equal(key, set)) return copyShort(set, out);
  if (equal(key, set + 64)) return promote(set, out);
  return rememberShort(key, set + 64, at, length, out);
}

/** Puts the second slot of a set first. */
function promote(set: usize, out: usize): usize {
  for (let i: usize = 0; i < 64; i += 16) {
    const first = v128.load(set + i);
    v128.store(set + i, v128.load(set + i, 64));
    v128.store(set + i, first, 64);
  }
  return copyShort(set, out);
}

// @ts-ignore: decorator
@inline
function setOf(key: v128): usize {
  const low = i64x2.extract_lane(key, 0);
  const high = i64x2.extract_lane(key, 1);
  const hash = (u64(low) * 0x9e3779b97f4a7c15) ^ (u64(high) * 0x9fb21c651e98df25);
  return sets + (usize(((hash ^ (hash >> 32)) * 0xd6e8feb86659fd93) >> (64 - SET_BITS)) << 7);
}

// @ts-ignore: decorator
@inline
function equal(key: v128, slot: usize): bool {
  return !v128.any_true(v128.xor(key, v128.load(slot)));
}

// @ts-ignore: decorator
@inline
function copyShort(slot: usize, out: usize): usize {
  const count = usize(load<u32>(slot, 16));
  v128.store(out, v128.load(slot, 20));
  if (count > 4) {
    v128.store(out, v128.load(slot, 36), 16);
    v128.store(out, v128.load(slot, 48), 28);
  }
  return out + (count << 2);
}

function rememberShort(key: v128, slot: usize, at: usize, length: usize, out: usize): usize {
  const stop = encodeWhole(at, length, out);
  const bytes = stop - out;
  if (bytes <= 4 * SHORT_IDS) {
    v128.store(slot, key);
    store<u32>(slot, u32(bytes >> 2), 16);
    v128.store(slot, v128.load(out), 20);
    v128.store(slot, v128.load(out, 16), 36);
    v128.store(slot, v128.load(out, 28), 48);
  }
  return stop;
}

function encodeLong(at: usize, length: usize, out: usize): usize {
  if (length > LONGEST_RECORDED) return encodeWhole(at, length, out);
  const hash = hashOf(at, length);
  const found = findRecord(at, length, hash, out);
  if (found != 0) return found;
  const stop = encodeWhole(at, length, out);
  keepRecord(at, length, hash, out, stop);
  return stop;
}

/** The ids of a word that is not remembered. */
function encodeWhole(at: usize, length: usize, out: usize): usize {
  const id = tokenId(at, length);
  if (id == NONE) return out + 4 * usize(mergeWord(at, at + length, out));
  store<u32>(out, id);
  return out + 4;
}
