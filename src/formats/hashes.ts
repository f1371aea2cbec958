import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import xxhash from 'xxhash-wasm';
import { InputError } from '../base/errors.js';
import { systemCode } from './json.js';

/*
 * XXH64 finds what disks, copies and editors do to a file at about three times the speed of SHA-256, and a checkpoint of
 * a whole model is gigabytes. It is no proof against someone who also writes a new hash.
 */

/** A hash that grows with what it is given. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** 16 hexadecimal digits, of all bytes so far. */
  digest(): string;
}

let loaded: ReturnType<typeof xxhash> | undefined;

export async function startHash(): Promise<RunningHash> {
  loaded ??= xxhash();
  const hash = (await loaded).create64();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest().toString(16).padStart(16, '0'),
  };
}

/** A hash of bytes that are all there: 16 hexadecimal digits. */
export async function wholeHash(): Promise<(bytes: Uint8Array) => string> {
  loaded ??= xxhash();
  const { h64Raw } = await loaded;
  return (bytes) => h64Raw(bytes).toString(16).padStart(16, '0');
}

/** Bytes of a file from `start` up to `end`. */
export type Range = readonly [start: number, end: number];

const CHUNK_BYTES = 2 ** 22;

/**
 * Adds ranges of a file to a hash; the event loop goes on between chunks of 4 MiB. Of a file that ends before a range,
 * nothing stands for what is missing.
 * @throws InputError when the file can't be read
 */
export async function hashRanges(hash: RunningHash, path: string, ranges: Iterable<Range>): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  try {
    const file = await open(path);
    try {
      for (const [start, end] of ranges) {
        for (let at = start; at < end; ) {
          const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at);
          if (bytesRead === 0) break;
          hash.update(buffer.subarray(0, bytesRead));
          at += bytesRead;
        }
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new InputError(`${path}: expected a file to read, found ${systemCode(error)}; check it`);
  }
}

/** Of a file's first `bytes`. Default: of all. @throws InputError when it can't be read */
export async function hashFile(path: string, bytes = Number.MAX_SAFE_INTEGER): Promise<string> {
  const hash = await startHash();
  await hashRanges(hash, path, [[0, bytes]]);
  return hash.digest();
}

/** The list of hashes in a folder; `xxh64sum -c` reads it. */
export const HASHES_FILE = 'XXH64SUMS';

/** Lines of the list of hashes of a folder's files. */
export async function hashFolder(folder: string): Promise<string> {
  const lines: string[] = [];
  for (const name of filesIn(folder)) lines.push(`${await hashFile(join(folder, name))}  ${name}\n`);
  return lines.join('');
}

/** Files below a folder, with `/`, sorted; the list of hashes is left out. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) =>
      join(parentPath, name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((name) => name !== HASHES_FILE)
    .sort();

/**
 * Holds a folder to its list of hashes.
 * @param advice what to do about a file that is another one
 * @throws InputError naming the first file that is not as it was written, is missing or was added
 */
export async function checkHashes(folder: string, advice: string): Promise<void> {
  const path = join(folder, HASHES_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`${path}: expected the hashes of the files, found ${systemCode(error)}; ${advice}`);
  }
  const listed = new Map(text.split('\n').flatMap((line) => (line ? [entryOf(line)] : [])));
  const found = filesIn(folder);
  const other =
    found.find((name) => !listed.has(name)) ?? [...listed.keys()].find((name) => !found.includes(name));
  if (other !== undefined) {
    const [expected, is] = listed.has(other) ? ['a file', 'none'] : ['no such file', 'one'];
    throw new InputError(
      `${join(folder, other)}: expected ${expected} by ${HASHES_FILE}, found ${is}; ${advice}`,
    );
  }
  for (const [name, hash] of listed) {
    const is = await hashFile(join(folder, name));
    if (is === hash) continue;
    throw new InputError(
      `${join(folder, name)}: expected the file that was written (XXH64 ${hash}), found another (${is}); ${advice}`,
    );
  }
}

const entryOf = (line: string): [name: string, hash: string] => [line.slice(18), line.slice(0, 16)];
