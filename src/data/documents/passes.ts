import { InputError } from '../../base/errors.js';
import type { Example } from '../examples.js';
import { Chunks } from './bytes.js';
import type { SourceFile } from './files.js';
import { READERS } from './formats.js';
import { FILE_START, type Place, type Position } from './position.js';
import { BadDocument, Problem } from './problems.js';
import type { Source } from './sources.js';
import { LocatedProblem } from './splitter.js';
import type { ReadOptions } from './text.js';

export interface PassOptions extends ReadOptions {
  /** Skip what can't be read and go on, or throw it. */
  readonly skipsBad: boolean;
  /** This reader's part of the documents: number `index` of `count`. */
  readonly rank: { readonly index: number; readonly count: number };
}

type SourcePlace = Place['sources'][number];

/** Where a pass over a source starts. */
export const startOf = ({ files }: Source, pass: number): SourcePlace => ({
  pass,
  file: 0,
  content: files[0]!.identity,
  at: null,
});

/** A document, and the number of its file in the source. */
export interface FoundDocument {
  readonly id: string;
  readonly example: Example;
  readonly file: number;
  readonly position: Position;
}

/**
 * The documents of one source, pass after pass. The next one is looked up before it is taken, so that `place` is always
 * that of a document that is there.
 */
export class Passes {
  pass: number;
  /** The document to take next, once `find` has found it. */
  upcoming: FoundDocument | undefined;
  readonly #source: Source;
  readonly #options: PassOptions;
  readonly #chunksOf: ChunksOf;
  #items: AsyncGenerator<FoundDocument | BadDocument>;

  /** @param from a place of a source with the same files */
  constructor(source: Source, chunksOf: ChunksOf, options: PassOptions, from: SourcePlace) {
    this.#source = source;
    this.#options = options;
    this.#chunksOf = chunksOf;
    this.pass = from.pass;
    const start = from.at ? { file: from.file, position: from.at } : undefined;
    this.#items = this.#passOver(start);
  }

  get place(): SourcePlace {
    const { pass, upcoming } = this;
    if (!upcoming) return startOf(this.#source, pass);
    const { file, position } = upcoming;
    return { pass, file, content: this.#source.files[file]!.identity, at: position };
  }

  /** Looks for the next document. @returns one that was skipped on the way, or whether the pass is over. */
  async find(): Promise<BadDocument | 'found' | 'over'> {
    const { value } = await this.#items.next();
    if (value instanceof BadDocument) return value;
    this.upcoming = value;
    if (value) return 'found';
    this.pass++;
    this.#items = this.#passOver(undefined);
    return 'over';
  }

  #passOver(start: Start | undefined): AsyncGenerator<FoundDocument | BadDocument> {
    return passOver(this.#source, this.#chunksOf, this.#options, this.pass, start);
  }

  /** Lets go of what is open. */
  async close(): Promise<void> {
    await this.#items.return(undefined);
  }
}

interface Start {
  readonly file: number;
  readonly position: Position;
}

/** What a file is read by. */
export type ChunksOf = (file: SourceFile) => Chunks;

/** Files that are as small together are read from the disk once, not in every pass. */
const SMALL_SOURCE_BYTES = 2 ** 20;

export function chunksOf({ files }: Source): ChunksOf {
  const fresh = ({ bytes }: SourceFile) => new Chunks(bytes);
  if (files.reduce((sum, { bytes }) => sum + bytes.size, 0) > SMALL_SOURCE_BYTES) return fresh;
  const kept = new Map<SourceFile, Chunks>();
  return (file) => {
    const chunks = kept.get(file) ?? fresh(file);
    kept.set(file, chunks);
    return chunks;
  };
}

/** Problems are told in the first pass, each by one rank. */
async function* passOver(
  source: Source,
  chunksOf: ChunksOf,
  options: PassOptions,
  pass: number,
  start: Start | undefined,
): AsyncGenerator<FoundDocument | BadDocument> {
  const isMine = share(source.files.length, options.rank);
  let hasFound = start !== undefined;
  for (let file = start?.file ?? 0; file < source.files.length; file++) {
    if (!isMine(file, undefined)) continue;
    const position = file === start?.file ? start.position : FILE_START;
    const chunks = chunksOf(source.files[file]!);
    for await (const item of fileItems(source.files[file]!, file, chunks, position, options)) {
      if (!isMine(file, item.position?.index ?? 0)) continue;
      if ('example' in item) {
        hasFound = true;
        yield item;
      } else if (pass === 0) yield item.problem;
    }
  }
  if (!hasFound) throw nothingFound(source, options);
}

/**
 * Which documents a rank reads: whole files where they can be shared out evenly, else every count-th document.
 * The union over the ranks is every document, once.
 */
function share(files: number, { index, count }: PassOptions['rank']) {
  const byFile = files % count === 0;
  return (file: number, document: number | undefined): boolean =>
    byFile ? file % count === index : document === undefined || (file + document) % count === index;
}

type FileItem = FoundDocument | { readonly position: Position | undefined; readonly problem: BadDocument };

/** @throws BadDocument unless such are skipped */
async function* fileItems(
  file: SourceFile,
  number: number,
  chunks: Chunks,
  start: Position,
  options: PassOptions,
): AsyncGenerator<FileItem> {
  let count = start.index;
  const skipped = (position: Position | undefined, problem: Problem): FileItem => {
    const bad = badDocument(file, position, problem);
    if (!options.skipsBad) throw bad;
    return { position, problem: bad };
  };
  try {
    if (file.bytes.size === 0) {
      throw new Problem('expected text, found an empty file; leave it out', { endsFile: true });
    }
    const opened = { chunks, compression: file.compression };
    for await (const item of READERS[file.name](opened, start, options)) {
      count++;
      const { position } = item;
      if ('problem' in item) yield skipped(position, item.problem);
      else yield { id: idOf(file, position), example: item.example, file: number, position };
    }
    if (count === 0) {
      throw new Problem('expected at least one document, found none; leave the file out', { endsFile: true });
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    yield skipped(undefined, error);
  }
}

const NUMBERED: readonly SourceFile['name'][] = ['json', 'parquet', 'safetensors'];

function idOf({ name, bytes }: SourceFile, { index, line, part }: Position): string {
  const record = NUMBERED.includes(name) ? `${bytes.name}[${index}]` : `${bytes.name}:${line}`;
  return part === undefined ? record : `${record}#${part}`;
}

/** What is counted in files without lines. */
const UNIT: Partial<Record<SourceFile['name'], string>> = { parquet: 'row', safetensors: 'document' };

function badDocument(file: SourceFile, position: Position | undefined, problem: Problem): BadDocument {
  const where =
    problem instanceof LocatedProblem
      ? `line ${problem.line}, byte ${problem.byteOffset}${file.compression === 'none' ? '' : ' of its content'}: `
      : position && UNIT[file.name]
        ? `${UNIT[file.name]} ${position.index}: `
        : '';
  return new BadDocument(`${file.bytes.name}: ${where}${problem.message}`);
}

function nothingFound({ files }: Source, { rank, skipsBad }: PassOptions): InputError {
  const where =
    files.length === 1 ? files[0]!.bytes.name : `${files[0]!.bytes.name} and ${files.length - 1} more`;
  const part = rank.count === 1 ? '' : ` for each of ${rank.count} ranks`;
  const found = skipsBad ? 'none that can be read' : 'fewer';
  return new InputError(`${where}: expected documents${part}, found ${found}; give more text`);
}
