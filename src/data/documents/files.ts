import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../base/errors.js';
import { systemCode } from '../../formats/json.js';
import { type ByteFile, LocalFile } from './bytes.js';
import { type Format, formatOf, KNOWN_ENDINGS } from './formats.js';
import { fixedPart, isGlob, matcher } from './globs.js';

/** A file of documents that was found. */
export interface SourceFile extends Format {
  readonly bytes: ByteFile;
  /** What tells its content from another one: size and a hash, of samples where all of it is not known. */
  readonly identity: string;
}

/** The files that a path, a folder or a pattern stands for, sorted. @throws InputError when there are none */
export function localFiles(path: string): SourceFile[] {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile()) return [localFile(path)];
  const found = status?.isDirectory()
    ? filesUnder(path).map((name) => join(path, name))
    : isGlob(path)
      ? matches(path)
      : [];
  const known = found.filter((name) => formatOf(name) !== undefined).sort(byCodeUnits);
  if (known.length > 0) return known.map(localFile);
  const expected = `${path}: expected text files (${KNOWN_ENDINGS}), found none`;
  if (status) throw new InputError(`${expected} in the folder; check the path`);
  if (isGlob(path)) throw new InputError(`${expected} that match; check the pattern`);
  throw new InputError(`${path}: expected a text file, found nothing; check the path`);
}

/** Not by locale: the order must be the same everywhere. */
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The format of a file that was named. */
export function knownFormat(path: string): Format {
  const format = formatOf(path);
  if (format) return format;
  const ending = /\.[^./]+$/.exec(path)?.[0] ?? 'no ending';
  throw new InputError(`${path}: expected a name that ends in ${KNOWN_ENDINGS}, found ${ending}; convert it`);
}

function localFile(path: string): SourceFile {
  const format = knownFormat(path);
  const { size } = statSync(path);
  return { ...format, bytes: new LocalFile(path, size), identity: sampleIdentity(path, size) };
}

/** Files below a folder, relative to it; hidden ones are left out. */
function filesUnder(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (path) =>
        !path.split('/').some((part) => part.startsWith('.')) &&
        statSync(join(folder, path), { throwIfNoEntry: false })?.isFile(),
    );
  } catch (error) {
    throw new InputError(`${folder}: expected a folder to read, found ${systemCode(error)}; check it`);
  }
}

function matches(pattern: string): string[] {
  const folder = fixedPart(pattern);
  const isThere = statSync(folder || '.', { throwIfNoEntry: false })?.isDirectory();
  if (!isThere && folder !== '') return [];
  const root = folder === '' ? (pattern.startsWith('/') ? '/' : '.') : folder;
  const isMatch = patternMatcher(pattern);
  return filesUnder(root)
    .map((path) => (root === '.' ? path : `${root === '/' ? '' : root}/${path}`))
    .filter(isMatch);
}

/** @throws InputError for a pattern that is none */
export function patternMatcher(pattern: string): (path: string) => boolean {
  try {
    return matcher(pattern);
  } catch {
    throw new InputError(
      `${pattern}: expected a pattern of *, ?, **, [a-z] and {a,b}, found another; mend it`,
    );
  }
}

const SAMPLES = 16;
const SAMPLE_BYTES = 4096;

/** Of bytes spread over the file, its first and last ones among them; of a small file, all. */
function sampleIdentity(path: string, size: number): string {
  const hash = createHash('sha256');
  const last = Math.max(0, size - SAMPLE_BYTES);
  const sample = Buffer.alloc(SAMPLE_BYTES);
  try {
    const file = openSync(path, 'r');
    try {
      for (let i = 0; i < SAMPLES; i++) {
        const length = readSync(file, sample, 0, SAMPLE_BYTES, Math.floor((last * i) / (SAMPLES - 1)));
        hash.update(sample.subarray(0, length));
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new InputError(
      `${path}: expected a file to read, found ${systemCode(error)}; check its permissions`,
    );
  }
  return identityOf(size, hash.digest('hex'));
}

const HASH_DIGITS = 16;

export const identityOf = (size: number, hash: string): string => `${size}-${hash.slice(0, HASH_DIGITS)}`;
