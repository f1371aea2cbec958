import { InputError } from '../base/errors.js';
import type { DatasetOptions } from '../hub/dataset.js';
import type { QmsumOptions } from '../options/qmsum.js';
import { type ChunksOf, chunksOf, Passes, type PassOptions, startOf } from './documents/passes.js';
import { isPlace, type Place } from './documents/position.js';
import { BadDocument } from './documents/problems.js';
import { checkUnchanged, identitiesOf, locateSources, type Source } from './documents/sources.js';
import { idsDecoder, idsTokenizer } from './documents/tokenIds.js';
import { bytesOf, type Example } from './examples.js';
import { checkShards } from './shards/check.js';
import type { Encoder } from './shards/fingerprint.js';

export type { Place } from './documents/position.js';
export { BadDocument } from './documents/problems.js';

export interface Document {
  /** File and line or number, such as `stories.jsonl:17` or `stories.parquet[16]`. */
  readonly id: string;
  readonly example: Example;
  readonly place: Place;
  /** What tells it from all others, whatever the pass: the number of its source, of the file in that, and in the file. */
  readonly number: readonly [source: number, file: number, index: number];
  /** Times that all of its source was read before. */
  readonly pass: number;
}

export interface DocumentSource {
  /** Before the first document. */
  readonly start: Place;
  /**
   * An epoch of documents, one in memory at a time, from the start or from the document at `place`; between them what
   * was skipped, if that is asked for. Returns where the next epoch starts.
   * @throws InputError when the files are not those of `place`; with path, line and byte offset at the first document
   * that can't be read, unless such are skipped
   */
  read(place?: Place): AsyncGenerator<Document | BadDocument, Place>;
}

export interface DocumentOptions {
  /**
   * Files (.txt, .jsonl, .json, .csv, .parquet, each also with .gz or .zst; token shards), folders, patterns, or
   * `hf://datasets/owner/name[@revision]/path`; each, or none, with its share of the text as in `a.jsonl:0.7`.
   */
  readonly paths: readonly string[];
  /**
   * The column, field or nested field (`a.b`) that holds a text, or a list of messages. Default: the first that is there
   * of `messages`, `prompt` and `completion`, and `text`.
   */
  readonly textColumn?: string | undefined;
  /**
   * The model whose token ids documents are given as, a folder or a name on the Hub: a list of ids, in `textColumn` or else
   * in `input_ids`, is read as the text that it stands for, without special tokens. Default: there are none.
   */
  readonly idsTokenizer?: string | undefined;
  /** Splits `.txt` files into documents and belongs to none; without it a file is one document. */
  readonly separator?: string | undefined;
  /** How queries about meetings are read. */
  readonly qmsum?: QmsumOptions | undefined;
  /** What to do with a document that can't be read. Default: stop. */
  readonly onBad?: 'stop' | 'skip';
  /** Read one part of `count`; all parts together are every document once. Default: all of it. */
  readonly rank?: PassOptions['rank'];
  /** Where reading will go on: its files must be these. */
  readonly from?: Place | undefined;
  /** What token shards must have been made with; not checked where it is absent. */
  readonly encoder?: Encoder;
  readonly hub?: DatasetOptions;
}

/**
 * Finds text and reads it as one stream of documents. Pieces of white space alone are no documents. Paths without
 * weights are read one after the other, files in a folder by their names; an epoch is every document once. With weights,
 * the next document is from the source that has given least text for its weight; a source that ends starts over, and an
 * epoch ends when each has ended once more.
 * @throws InputError when a path stands for nothing, or for a file that is empty, of no known kind, not that of `from`, or
 * of ids that are not those of `encoder`
 */
export async function openDocuments(options: DocumentOptions): Promise<DocumentSource> {
  const sources = await locateSources(options.paths, options.hub);
  const { textColumn, separator, qmsum, onBad = 'stop', rank = { index: 0, count: 1 } } = options;
  const skipsBad = onBad === 'skip';
  const { idsTokenizer: ids } = options;
  const decodeIds = ids === undefined ? undefined : idsDecoder(await idsTokenizer(ids, options.hub), ids);
  const documents = new Mixture(sources, { textColumn, decodeIds, separator, qmsum, skipsBad, rank });
  if (options.from) documents.check(options.from);
  if (!skipsBad) for (const source of sources) refuseEmpty(source);
  const files = sources.flatMap((source) => source.files);
  if (options.encoder) await checkShards(files, options.encoder, skipsBad);
  return documents;
}

function refuseEmpty({ files }: Source): void {
  const empty = files.find(({ bytes }) => bytes.size === 0);
  if (!empty) return;
  throw new BadDocument(`${empty.bytes.name}: expected text, found an empty file; leave it out`);
}

class Mixture implements DocumentSource {
  readonly start: Place;
  readonly #sources: readonly Source[];
  readonly #chunks: readonly ChunksOf[];
  readonly #options: PassOptions;

  constructor(sources: readonly Source[], options: PassOptions) {
    this.#sources = sources;
    this.#chunks = sources.map(chunksOf);
    this.#options = options;
    this.start = {
      files: identitiesOf(sources),
      sources: sources.map((source) => startOf(source, 0)),
      taken: sources.map(() => 0),
    };
  }

  async *read(from = this.start): AsyncGenerator<Document | BadDocument, Place> {
    // Epochs follow one another at places of this very object.
    if (from.files !== this.start.files) this.check(from);
    const all = this.#sources.map(
      (source, i) => new Passes(source, this.#chunks[i]!, this.#options, from.sources[i]!),
    );
    const taken = [...from.taken];
    const epoch = Math.min(...all.map(({ pass }) => pass));
    const place = (): Place => ({
      files: this.start.files,
      sources: all.map((source) => source.place),
      taken: [...taken],
    });
    try {
      for (;;) {
        for (const source of all) {
          while (!source.upcoming) {
            const found = await source.find();
            if (found instanceof BadDocument) yield found;
            else if (found === 'over' && all.every(({ pass }) => pass > epoch)) return place();
          }
        }
        const next = this.#leastServed(taken);
        const { id, example, file, position } = all[next]!.upcoming!;
        const number = [next, file, position.index] as const;
        const document = { id, example, place: place(), number, pass: all[next]!.pass };
        all[next]!.upcoming = undefined;
        // Empty documents count, too: a source of nothing else would be taken from for ever.
        taken[next]! += Math.max(1, bytesOf(example));
        yield document;
      }
    } finally {
      for (const source of all) await source.close();
    }
  }

  /** The source with the least text for its weight; of equal ones the first. */
  #leastServed(taken: readonly number[]): number {
    let least = 0;
    for (let i = 1; i < taken.length; i++) {
      const [a, b] = [least, i].map((s) => taken[s]! / this.#sources[s]!.weight);
      if (b! < a!) least = i;
    }
    return least;
  }

  /** @throws InputError when a place is not in these files */
  check(place: unknown): void {
    const count = this.#sources.length;
    if (!isPlace(place) || place.sources.length !== count || place.taken.length !== count) {
      throw new InputError('expected a place in these documents, found another; is the checkpoint damaged?');
    }
    checkUnchanged(this.#sources, place);
  }
}
