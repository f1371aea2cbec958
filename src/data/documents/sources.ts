import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../base/errors.js';
import { isRemote } from '../../hub/address.js';
import type { DatasetOptions } from '../../hub/dataset.js';
import { localFiles, type SourceFile } from './files.js';
import { FEW_FILES, type Place } from './position.js';

/** Files that are read one after the other, and what part of the text comes from them. */
export interface Source {
  readonly files: readonly SourceFile[];
  readonly weight: number;
}

/** What `PATH` or `PATH:WEIGHT` says. */
export interface DataArgument {
  readonly path: string;
  readonly weight: number | undefined;
}

/** A file whose name ends like a weight is meant as it is. */
export function parseData(text: string): DataArgument {
  const [, path, digits] = /^(.+):(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)$/i.exec(text) ?? [];
  if (path === undefined || existsSync(text)) return { path: text, weight: undefined };
  const weight = Number(digits);
  if (weight > 0 && Number.isFinite(weight)) return { path, weight };
  throw new InputError(`--data ${text}: expected a weight above 0, found ${digits}; leave it out`);
}

/**
 * The files of all arguments. With weights each argument is a source of its own; without, all together are one.
 * @throws InputError when a path stands for nothing that can be read, or some have weights and others none
 */
export async function locateSources(
  texts: readonly string[],
  options: DatasetOptions = {},
): Promise<Source[]> {
  if (texts.length === 0) {
    throw new InputError('expected at least one path of text, found none; give --data PATH');
  }
  const found = texts.map(parseData);
  const plain = found.find(({ weight }) => weight === undefined);
  if (plain && found.some(({ weight }) => weight !== undefined)) {
    throw new InputError(
      `--data ${plain.path}: expected a weight for each path or for none, found none; write ${plain.path}:1`,
    );
  }
  const sources: Source[] = [];
  for (const { path, weight = 1 } of found) {
    sources.push({ files: isRemote(path) ? await remoteFiles(path, options) : localFiles(path), weight });
  }
  return plain ? [{ files: sources.flatMap(({ files }) => files), weight: 1 }] : sources;
}

/** Loads the Hub's client, which most runs do without. */
async function remoteFiles(path: string, options: DatasetOptions): Promise<readonly SourceFile[]> {
  const { hubFiles } = await import('./hub.js');
  return hubFiles(path, options);
}

/** What identifies the content of all files: each by itself where they are few, else one digest. */
export function identitiesOf(sources: readonly Source[]): string[] {
  const identities = sources.flatMap(({ files }) => files.map(({ identity }) => identity));
  if (identities.length <= FEW_FILES) return identities;
  return [createHash('sha256').update(identities.join()).digest('hex').slice(0, DIGEST_DIGITS)];
}

const DIGEST_DIGITS = 16;

/** @throws InputError naming a file that is another one than that of the place, where the place tells which */
export function checkUnchanged(sources: readonly Source[], place: Place): void {
  const files = sources.flatMap((source) => source.files);
  for (const [i, { file, content }] of place.sources.entries()) checkFile(sources[i]!.files[file], content);
  if (place.files.length === files.length) {
    for (const [i, file] of files.entries()) checkFile(file, place.files[i]!);
  }
  if (isDeepStrictEqual(place.files, identitiesOf(sources))) return;
  const before = place.files.length === 1 && files.length > 1 ? 'others' : place.files.length;
  throw new InputError(
    `expected the files that the run began with (${before}), found ${files.length}; restore the data as it was`,
  );
}

function checkFile(file: SourceFile | undefined, identity: string): void {
  if (file?.identity === identity) return;
  throw new InputError(
    `${file?.bytes.name ?? 'text'}: expected the file that the run began with (size and hash ${identity}), ` +
      `found ${file?.identity ?? 'none'}; restore the data as it was`,
  );
}
