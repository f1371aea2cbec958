import { constants } from 'node:buffer';
import type { QmsumOptions } from '../../options/qmsum.js';
import type { Example } from '../examples.js';
import type { Chunks } from './bytes.js';
import type { Compression } from './content.js';
import type { Position } from './position.js';
import { Problem } from './problems.js';
import { countNewlines, LocatedProblem, type Slice } from './splitter.js';
import type { DecodeIds } from './tokenIds.js';

/** A file whose documents are read. */
export interface Opened {
  readonly chunks: Chunks;
  readonly compression: Compression;
}

export interface ReadOptions {
  /** The column, field or nested field (`a.b`) that holds a text or messages; undefined: what is there decides. */
  readonly textColumn: string | undefined;
  /** Reads token ids as text; undefined: there are none. */
  readonly decodeIds?: DecodeIds | undefined;
  /** Splits .txt files. */
  readonly separator: string | undefined;
  /** What of meetings is read. */
  readonly qmsum?: QmsumOptions | undefined;
}

/** A document, or what is wrong with it. */
export type Item =
  | { readonly position: Position; readonly example: Example }
  | { readonly position: Position; readonly problem: Problem };

/**
 * The documents of a file, in order, from its start or from one of its documents.
 * @throws Problem when nothing more of the file can be read
 */
export type Reader = (file: Opened, start: Position, options: ReadOptions) => AsyncGenerator<Item>;

/**
 * Slices of UTF-8 as documents; those of white space alone are left out.
 * @param start a document, which may be one of several of its slice
 * @param exampleOf what a decoded slice holds, one document or a list of them; throws Problem
 */
export async function* textItems(
  slices: AsyncIterable<Slice>,
  start: Position,
  exampleOf: (decoded: string) => Held,
): AsyncGenerator<Item> {
  let { index, part: first = 0 } = start;
  for await (const slice of slices) {
    const held = heldOrProblem(slice, exampleOf);
    if (held === undefined) continue;
    if (isList(held)) {
      for (const [part, outcome] of held.entries()) {
        if (part >= first) yield item({ index: index++, ...slice.at, part }, located(outcome, slice));
      }
    } else yield item({ index: index++, ...slice.at }, held);
    first = 0;
  }
}

/** What a slice holds: a document, or several. */
type Held = Example | readonly (Example | Problem)[];

const isList = (held: Held | Problem): held is readonly (Example | Problem)[] => Array.isArray(held);

const item = (position: Position, outcome: Example | Problem): Item =>
  outcome instanceof Problem ? { position, problem: outcome } : { position, example: outcome };

function heldOrProblem(slice: Slice, exampleOf: (decoded: string) => Held): Held | Problem | undefined {
  try {
    const decoded = decode(slice.bytes);
    return /\S/.test(decoded) ? exampleOf(decoded) : undefined;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return located(error, slice);
  }
}

/** A problem with the place in the file where it is. */
function located<T>(outcome: T | Problem, { at, bytes }: Slice): T | LocatedProblem {
  if (!(outcome instanceof Problem)) return outcome;
  const { offset } = outcome;
  const line = at.line + countNewlines(bytes.subarray(0, offset));
  return new LocatedProblem(outcome, { line, byteOffset: at.byteOffset + offset });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws Problem with the offset of the first byte that is wrong; a NUL is: it stands in other encodings and no text */
export function decode(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    const found = encodingWithNuls(bytes.subarray(0, SAMPLE_BYTES));
    throw new Problem(`expected UTF-8, found ${found}; convert the file to UTF-8`, { offset: nul });
  }
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new Problem(
      `expected a text of up to ${constants.MAX_STRING_LENGTH} bytes, found a longer one; split it`,
    );
  }
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Problem('expected UTF-8, found other bytes; convert the file to UTF-8', {
      offset: firstInvalidByte(bytes),
    });
  }
}

const SAMPLE_BYTES = 2 ** 12;

/** What bytes with NULs among them are: mostly Latin text has one in every second byte of UTF-16, and three of four in UTF-32. */
function encodingWithNuls(bytes: Uint8Array): string {
  const nuls = [0, 0];
  for (const [i, byte] of bytes.entries()) if (byte === 0) nuls[i % 2]!++;
  const [least, most] = [Math.min(...nuls), Math.max(...nuls)];
  if (least + most > 0.6 * bytes.length) return 'NULs in most bytes, as in UTF-32';
  if (most > 0.1 * bytes.length && most > 3 * least) return 'NULs in every second byte, as in UTF-16';
  return 'a NUL, as in files that are no text';
}

/** Bisects for the first byte that no continuation can make valid; the length when the last character is cut. */
function firstInvalidByte(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >>> 1;
    if (isValidStart(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

function isValidStart(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
