import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { InputError } from '../../errors.js';
import { type DatasetOptions, isRemote } from '../../hub/dataset.js';
import { localFiles, type SourceFile } from './files.js';
import { hubFiles } from './hub.js';

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
    sources.push({ files: isRemote(path) ? await hubFiles(path, options) : localFiles(path), weight });
  }
  return plain ? [{ files: sources.flatMap(({ files }) => files), weight: 1 }] : sources;
}

const DIGEST_DIGITS = 16;

/** Changes when any file does. */
export function digestOf(sources: readonly Source[]): string {
  const hash = createHash('sha256');
  for (const { files } of sources) hash.update(`${files.map(({ identity }) => identity).join()};`);
  return hash.digest('hex').slice(0, DIGEST_DIGITS);
}
