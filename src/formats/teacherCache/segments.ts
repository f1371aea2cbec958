import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../base/errors.js';
import { systemCode } from '../json.js';
import { openSafetensors, type TensorData, writeSafetensors } from '../safetensors.js';
import { type CacheIdentity, identitySchema } from './identity.js';

/*
 * A segment is a safetensors file of hidden states, one tensor [n, D] a piece, by the piece's key. Its metadata says what
 * they are of and has the XXH64 of each, in the order of the keys; its own name is the XXH64 of all that. So a segment
 * speaks for itself, nothing that is changed in one goes unseen, and two that are the same have one name.
 */

/** Where a piece's hidden states lie on the disk. */
export interface StoredStates {
  readonly path: string;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** XXH64 of those bytes. */
  readonly hash: string;
}

export interface Segment {
  readonly identity: CacheIdentity;
  readonly pieces: ReadonlyMap<string, StoredStates>;
}

type Hash = (bytes: Uint8Array) => string;

const SEGMENT = /^[0-9a-f]{16}\.safetensors$/;
const UNFINISHED = /^\..+\.unfinished$/;
const HASH_DIGITS = 16;
/** No write of a segment takes as long: its writer is gone. */
const STALE_MS = 3_600_000;

/** Names of the segments in a folder, sorted; none where there is no folder. @throws InputError where it is something else */
export function listSegments(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder)
      .filter((name) => SEGMENT.test(name))
      .sort();
  } catch (error) {
    throw new InputError(
      `--teacher-cache: expected a folder to read, found ${systemCode(error)} at ${folder}; check its permissions`,
    );
  }
}

const nameOf = (hash: Hash, identity: string, keys: readonly string[], hashes: string): string =>
  `${hash(new TextEncoder().encode([identity, ...keys, hashes].join('\n')))}.safetensors`;

/** @throws InputError naming the file when it is not as it was written; its states are read and checked later */
export function openSegment(folder: string, name: string, hash: Hash): Segment {
  const path = join(folder, name);
  try {
    const { tensors, metadata } = openSafetensors(path);
    const { identity = '', hashes = '' } = metadata;
    const keys = [...tensors.keys()];
    if (nameOf(hash, identity, keys, hashes) !== name) throw new Error(`${path}: its header was changed`);
    const pieces = [...tensors.values()].map(({ name: key, byteOffset, byteLength }, i) => {
      const digits = hashes.slice(i * HASH_DIGITS, (i + 1) * HASH_DIGITS);
      return [key, { path, byteOffset, byteLength, hash: digits }] as const;
    });
    return { identity: identitySchema.parse(JSON.parse(identity)), pieces: new Map(pieces) };
  } catch (error) {
    const found = (error as Error).message.split('; ')[0]!.replace(`${path}: `, '');
    throw new InputError(
      `${path}: expected a segment of a teacher cache as it was written, found: ${found}; ${REMEDY}`,
    );
  }
}

const REMEDY = 'delete the file: what it held is computed again';

/** Puts stored bytes into `target`, which has as many. @throws InputError naming file and byte where they are others */
export function readStates(stored: StoredStates, target: Uint8Array, hash: Hash): void {
  const { path, byteOffset, byteLength } = stored;
  const refuse = (found: string) =>
    new InputError(
      `${path}: byte ${byteOffset}: expected ${target.length} bytes as they were written, found ${found}; ${REMEDY}`,
    );
  if (byteLength !== target.length) throw refuse(`${byteLength}`);
  try {
    const file = openSync(path, 'r');
    try {
      if (readSync(file, target, 0, target.length, byteOffset) < target.length)
        throw refuse('the end of the file');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw error instanceof InputError ? error : refuse(systemCode(error));
  }
  if (hash(target) !== stored.hash) throw refuse('others');
}

/** Publishes a segment, whole or not at all. @returns its name */
export function writeSegment(
  folder: string,
  identity: CacheIdentity,
  pieces: ReadonlyMap<string, TensorData>,
  hash: Hash,
): string {
  const keys = [...pieces.keys()].sort();
  const hashes = keys.map((key) => hash(bytesOf(pieces.get(key)!))).join('');
  const json = JSON.stringify(identity);
  const name = nameOf(hash, json, keys, hashes);
  writeSafetensors(join(folder, name), pieces, { identity: json, hashes });
  return name;
}

const bytesOf = ({ data }: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Deletes what killed writers left behind; others may be writing beside. */
export function removeStale(folder: string): void {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => UNFINISHED.test(name)) : [];
  for (const path of names.map((name) => join(folder, name))) {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status && Date.now() - status.mtimeMs > STALE_MS) rmSync(path, { force: true });
  }
}
