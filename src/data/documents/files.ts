import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
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
  const status = statusOf(path);
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

/** Files and folders below a folder of text: a link to a whole disk is no such folder. */
const MOST_ENTRIES = 1_000_000;

/**
 * Files below a folder, relative to it; hidden ones are left out. Links are followed; a folder that is reached in several
 * ways, or by a link from inside of it, counts once: as itself where it is below the folder, else at its first link.
 */
function filesUnder(folder: string): string[] {
  try {
    const files: string[] = [];
    const seen = new Set([realpathSync(folder)]);
    const links: string[] = [];
    const open = [''];
    let entries = 0;
    for (let below = open.pop(); below !== undefined; below = open.pop() ?? nextLink(folder, links, seen)) {
      for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
        if (++entries > MOST_ENTRIES) throw tooMany(folder);
        if (entry.name.startsWith('.')) continue;
        const path = join(below, entry.name);
        if (entry.isDirectory()) {
          const real = realpathSync(join(folder, path));
          if (!seen.has(real)) open.push(path);
          seen.add(real);
        } else if (entry.isFile()) files.push(path);
        else if (entry.isSymbolicLink()) {
          const target = statusOf(join(folder, path));
          if (target?.isDirectory()) links.push(path);
          else if (target?.isFile()) files.push(path);
        }
      }
    }
    return files;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${folder}: expected a folder to read, found ${systemCode(error)}; check it`);
  }
}

/** The first link, by name, to a folder that was not seen yet. */
function nextLink(folder: string, links: string[], seen: Set<string>): string | undefined {
  links.sort(byCodeUnits);
  for (let link = links.shift(); link !== undefined; link = links.shift()) {
    const target = realpathSync(join(folder, link));
    if (seen.has(target)) continue;
    seen.add(target);
    return link;
  }
  return undefined;
}

const tooMany = (folder: string): InputError =>
  new InputError(
    `${folder}: expected a folder of text, found more than ${MOST_ENTRIES} files and folders below it; name some of them`,
  );

/** Undefined for what is not there, and for a link that leads to itself. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (['ELOOP', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function matches(pattern: string): string[] {
  const folder = fixedPart(pattern);
  const isThere = statusOf(folder || '.')?.isDirectory();
  if (!isThere && folder !== '') return [];
  const isMatch = patternMatcher(pattern);
  // As the pattern begins, `./` included.
  const prefix = folder === '' && !pattern.startsWith('/') ? '' : `${folder}/`;
  return filesUnder(prefix || '.')
    .map((path) => `${prefix}${path}`)
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
