import { constants } from 'node:buffer';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { InputError } from '../errors.js';

interface FilePosition {
  byteOffset: number;
  /** Counted from 1. */
  line: number;
}

/** Where a document starts; plain JSON, so that a checkpoint can hold it. */
export interface Place extends FilePosition {
  /** Index into the given paths. */
  source: number;
}

export interface Document {
  /** Path and line, such as `stories.jsonl:17`. */
  id: string;
  text: string;
  /** Index into the given paths. */
  source: number;
  place: Place;
}

export interface DocumentSource {
  /**
   * The documents in order, one in memory at a time, from the first one or from the one at `place`.
   * @throws InputError with path, line and byte offset at the first document that can't be read
   */
  read(place?: Place): AsyncGenerator<Document>;
}

export interface DocumentOptions {
  /** `.txt` and `.jsonl` files, read one after the other; a path may be given several times. */
  paths: readonly string[];
  /** The field of a `.jsonl` line that holds the text. Default: `text`. */
  textColumn?: string;
  /** Splits `.txt` files into documents and belongs to none; without it a file is one document. */
  separator?: string;
}

/** One document's bytes in its file. */
interface Piece extends FilePosition {
  bytes: Buffer;
}

const FILE_START: FilePosition = { byteOffset: 0, line: 1 };

const CHUNK_BYTES = 1024 * 1024;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');
const NEWLINE = Buffer.from('\n');

/**
 * Opens text files as one stream of documents. Documents of white space alone are skipped.
 * @throws InputError when a path is missing, empty, or not of a known kind
 */
export function openDocuments(options: DocumentOptions): DocumentSource {
  const { paths } = options;
  if (paths.length === 0)
    throw new InputError('expected at least one path of text, found none; give --data PATH');
  for (const path of paths) checkFile(path);
  return {
    async *read(place = { source: 0, ...FILE_START }) {
      for (let source = place.source; source < paths.length; source++) {
        const start = source === place.source ? place : FILE_START;
        yield* readFile(options, source, start);
      }
    },
  };
}

function checkFile(path: string): void {
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status?.isFile()) {
    throw new InputError(
      `${path}: expected a text file, found ${status ? 'a folder' : 'nothing'}; check the path`,
    );
  }
  if (status.size === 0) throw new InputError(`${path}: expected text, found an empty file; leave it out`);
  if (!['.txt', '.jsonl'].includes(extname(path))) {
    throw new InputError(
      `${path}: expected a .txt or .jsonl file, found ${extname(path) || 'no ending'}; convert it`,
    );
  }
}

async function* readFile(
  options: DocumentOptions,
  source: number,
  start: FilePosition,
): AsyncGenerator<Document> {
  const path = options.paths[source]!;
  const isJsonl = extname(path) === '.jsonl';
  const separator = isJsonl ? NEWLINE : options.separator ? Buffer.from(options.separator) : undefined;
  let found = start.byteOffset > 0;
  for await (const piece of splitFile(path, separator, start)) {
    const decoded = decode(path, piece);
    if (decoded.trim() === '') continue;
    found = true;
    const text = isJsonl ? textOf(path, piece, decoded, options.textColumn ?? 'text') : decoded;
    const { byteOffset, line } = piece;
    yield { id: `${path}:${line}`, text, source, place: { source, byteOffset, line } };
  }
  if (!found)
    throw new InputError(`${path}: expected at least one document, found white space alone; leave it out`);
}

/** The pieces between separators, the last one included when it is not empty. Lines of any length take linear time. */
async function* splitFile(
  path: string,
  separator: Buffer | undefined,
  start: FilePosition,
): AsyncGenerator<Piece> {
  let { byteOffset, line } = start;
  let pending: Buffer = Buffer.alloc(0);
  for (let searched = 0; ; searched = Math.max(0, pending.length - (separator?.length ?? 0) + 1)) {
    // Reading as much again as is pending keeps the copies of a long piece to twice its length.
    const chunk = await readChunk(path, byteOffset + pending.length, Math.max(CHUNK_BYTES, pending.length));
    pending = Buffer.concat([pending, chunk]);
    let begin = 0;
    for (let end = search(pending, separator, searched); end >= 0; end = search(pending, separator, begin)) {
      yield { bytes: pending.subarray(begin, end), byteOffset: byteOffset + begin, line };
      const next = end + separator!.length;
      line += countNewlines(pending.subarray(begin, next));
      begin = next;
    }
    byteOffset += begin;
    pending = pending.subarray(begin);
    if (chunk.length === 0) break;
    checkLength(path, pending, byteOffset, line);
  }
  if (pending.length > 0) yield { bytes: pending, byteOffset, line };
}

function search(bytes: Buffer, separator: Buffer | undefined, from: number): number {
  return separator ? bytes.indexOf(separator, from) : -1;
}

function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** Up to `length` bytes from `byteOffset` on; none at the end of the file. No file stays open between chunks. */
async function readChunk(path: string, byteOffset: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, byteOffset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function checkLength(path: string, pending: Buffer, byteOffset: number, line: number): void {
  if (pending.length <= constants.MAX_STRING_LENGTH) return;
  throw unreadable(
    path,
    { byteOffset, line },
    `expected documents of up to ${constants.MAX_STRING_LENGTH} bytes, found a longer one; split it`,
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(path: string, piece: Piece): string {
  const atFileStart = piece.byteOffset === 0 && piece.bytes.subarray(0, 3).equals(BYTE_ORDER_MARK);
  try {
    return utf8.decode(atFileStart ? piece.bytes.subarray(3) : piece.bytes);
  } catch {
    const offset = firstInvalidByte(piece.bytes);
    const place = {
      byteOffset: piece.byteOffset + offset,
      line: piece.line + countNewlines(piece.bytes.subarray(0, offset)),
    };
    throw unreadable(path, place, 'expected UTF-8, found other bytes; convert the file to UTF-8');
  }
}

/** Bisects for the first byte that no continuation can make valid; the length when the last character is cut. */
function firstInvalidByte(bytes: Buffer): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >>> 1;
    if (isValidStart(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

function isValidStart(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function textOf(path: string, piece: Piece, json: string, column: string): string {
  let record: unknown;
  try {
    record = JSON.parse(json);
  } catch (error) {
    throw unreadable(
      path,
      piece,
      `expected JSON, found ${(error as Error).message}; mend or delete the line`,
    );
  }
  const isObject = typeof record === 'object' && record !== null && Object.hasOwn(record, column);
  const text = isObject ? (record as Record<string, unknown>)[column] : undefined;
  if (typeof text === 'string') return text;
  const found = isObject ? `a value of another type (${typeof text})` : `none (${keysOf(record)})`;
  throw unreadable(path, piece, `expected a text in column "${column}", found ${found}; set --text-column`);
}

function keysOf(record: unknown): string {
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    return 'the line is not an object';
  return `columns: ${Object.keys(record).slice(0, 10).join(', ') || 'none'}`;
}

function unreadable(path: string, place: FilePosition, problem: string): InputError {
  return new InputError(`${path}: line ${place.line}, byte ${place.byteOffset}: ${problem}`);
}

export interface HeldOutSplit {
  training: DocumentSource;
  evaluation: DocumentSource;
}

/**
 * Holds a part of the text out of training. A single document is cut at character floor(length x (1 - fraction)), in
 * UTF-16 units. Of several documents, whole ones are chosen by a hash of their text: the choice depends on no order
 * and no other document, and duplicates stay on one side.
 * @param fraction of the characters or documents to hold out, above 0 and below 1
 * @throws InputError while either part is read, when no document falls into it
 */
export async function holdOut(documents: DocumentSource, fraction: number): Promise<HeldOutSplit> {
  if (await isSingle(documents)) {
    return {
      training: mapTexts(documents, (text) => text.slice(0, cutOf(text, fraction))),
      evaluation: mapTexts(documents, (text) => text.slice(cutOf(text, fraction))),
    };
  }
  const isHeldOut = (text: string) => contentFraction(text) < fraction;
  return {
    training: requireSome(
      mapTexts(documents, (text) => (isHeldOut(text) ? undefined : text)),
      `documents to train on, found all of them held out by --eval-fraction ${fraction}; lower it`,
    ),
    evaluation: requireSome(
      mapTexts(documents, (text) => (isHeldOut(text) ? text : undefined)),
      `held-out documents, found none at --eval-fraction ${fraction}; raise it or give --eval-data`,
    ),
  };
}

async function isSingle(documents: DocumentSource): Promise<boolean> {
  let count = 0;
  for await (const _ of documents.read()) if (++count === 2) return false;
  return count === 1;
}

/** The documents with other texts; those mapped to undefined are left out. */
function mapTexts(documents: DocumentSource, map: (text: string) => string | undefined): DocumentSource {
  return {
    async *read(place) {
      for await (const document of documents.read(place)) {
        const text = map(document.text);
        if (text !== undefined) yield { ...document, text };
      }
    },
  };
}

function requireSome(documents: DocumentSource, expected: string): DocumentSource {
  return {
    async *read(place) {
      let found = place !== undefined;
      for await (const document of documents.read(place)) {
        found = true;
        yield document;
      }
      if (!found) throw new InputError(`expected ${expected}`);
    },
  };
}

/** Never between the two halves of a surrogate pair. */
function cutOf(text: string, fraction: number): number {
  const cut = Math.floor(text.length * (1 - fraction));
  const isPairCut = cut > 0 && text.codePointAt(cut - 1)! > 0xffff;
  return isPairCut ? cut - 1 : cut;
}

/** A hash of the text, uniform in [0, 1). */
function contentFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
