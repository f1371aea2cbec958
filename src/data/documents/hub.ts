import { realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '../../base/errors.js';
import { parseAddress } from '../../hub/address.js';
import { type Dataset, type DatasetOptions, openDataset } from '../../hub/dataset.js';
import type { RemoteFile } from '../../hub/download.js';
import { LocalFile } from './bytes.js';
import { identityOf, knownFormat, localFiles, patternMatcher, type SourceFile } from './files.js';
import { formatOf, KNOWN_ENDINGS } from './formats.js';
import { fixedPart, isGlob } from './globs.js';

/**
 * The files that `hf://datasets/owner/name[@revision]/path` stands for, sorted. They are read where they are, in parts,
 * except those that the Hugging Face cache holds already.
 * @throws InputError when there are none, RunError when the Hub fails
 */
export async function hubFiles(text: string, options: DatasetOptions): Promise<SourceFile[]> {
  const { path } = parseAddress(text);
  const dataset = await openDataset(text, options);
  if (dataset.folder !== undefined) return cachedFiles(dataset.folder, path);
  const listed = await dataset.list(isGlob(path) ? fixedPart(path) : path);
  const isFile = listed.length === 1 && listed[0]!.path === path;
  if (isFile) knownFormat(path);
  const isMatch = isGlob(path) ? patternMatcher(path) : () => true;
  const found = listed.filter((file) => formatOf(file.path) !== undefined && isMatch(file.path));
  if (found.length === 0) {
    throw new InputError(`${text}: expected files of text (${KNOWN_ENDINGS}), found none; check the path`);
  }
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found.map((file) => sourceFile(dataset, file));
}

function sourceFile(dataset: Dataset, file: RemoteFile): SourceFile {
  const remote = dataset.bytes(file);
  const cached = dataset.cached(file);
  const bytes = cached === undefined ? remote : new LocalFile(cached, file.size, remote.name);
  return { ...formatOf(file.path)!, bytes, identity: identityOf(file.size, file.hash) };
}

/** A snapshot's files are links to blobs, which are named by their hash. */
function cachedFiles(folder: string, path: string): SourceFile[] {
  return localFiles(join(folder, path)).map((file) => {
    const { name, size } = file.bytes;
    return { ...file, identity: identityOf(size, basename(realpathSync(name))) };
  });
}
