import { lstatSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import { throwIfStopped, untilStopped } from '../base/stopping.js';
import { readChatTemplate } from '../data/chat/source.js';
import { parseData } from '../data/documents/sources.js';
import { BadDocument, type DocumentSource, openDocuments } from '../data/documents.js';
import { createEncode, type Encode, encodedOrBad } from '../data/encoding.js';
import { bytesOf, type EncodedExample, fractionOf, isText } from '../data/examples.js';
import { mapDocuments } from '../data/mapDocuments.js';
import { BestFitCounter } from '../data/packing/bestFit.js';
import { nothingToLearn } from '../data/packing/longDocuments.js';
import { blockRowsOf, RowStream, type RowStreamOptions } from '../data/packing.js';
import { encodingOf } from '../data/shards/fingerprint.js';
import { CorpusCounter, type CorpusStatistics, ratio } from '../data/shards/statistics.js';
import { ShardWriter } from '../data/shards/writer.js';
import { loadTokenizer } from '../data/tokenizer.js';
import { publishFolder } from '../formats/checkpointFiles.js';
import { checkRunFolder } from '../formats/runFolder.js';
import { resolveModel } from '../hub/resolveModel.js';
import { checkedOptions } from '../options/table.js';
import { TOKENIZE_OPTIONS, type TokenizeInput } from '../options/tokenize.js';
import { textOptions } from '../prepare/locateText.js';
import { encoderOf } from '../prepare/prepareText.js';
import type { DownloadRecord } from '../records.js';
import { fromFirst } from '../world/together.js';
import { ALONE, type World } from '../world/world.js';

/** A corpus as a model reads it. */
export interface Corpus extends CorpusStatistics {
  readonly packing: {
    readonly sequence: number;
    readonly stream: PackedRows;
    /** With blocks as large as a run's are by default. */
    readonly bestFit: PackedRows;
    /** Share of the documents that do not fit into one row. */
    readonly longerDocuments: number;
  };
  /** Documents that could not be read, or of which nothing that is to be learned fits into a row. */
  readonly skipped: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Where token shards were written. */
  readonly shards?: { readonly folder: string; readonly files: number };
}

export interface PackedRows {
  readonly rows: number;
  /** Share of the slots of all rows that are no padding. */
  readonly efficiency: number;
}

/** How far reading is. */
export interface TokenizeProgress {
  readonly documents: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface TokenizeHooks {
  readonly onDownload?: ((record: DownloadRecord) => void) | undefined;
  readonly onProgress?: ((progress: TokenizeProgress) => void) | undefined;
  /** Ends the work with a RunError; nothing is written then. */
  readonly signal?: AbortSignal | undefined;
}

/** What a stopped call was for. */
const READING = 'read all documents';

/**
 * Reads all documents once, as ids of a model's tokenizer: what they come to, and with `out` token shards of them. The
 * library form of `node dist/tokenize.js`. Memory does not grow with the corpus.
 * @param world of whose ranks the first does all of it: reading, counting and writing in order are most of the work
 * @throws InputError for what can't be read, or where something is at `out`; RunError when it is stopped
 */
export function tokenize(
  input: TokenizeInput,
  hooks: TokenizeHooks = {},
  world: World = ALONE,
): Promise<Corpus> {
  return fromFirst(world, 'tokenizing', (signal) => tokenizeAll(input, { ...hooks, signal }), hooks.signal);
}

async function tokenizeAll(input: TokenizeInput, hooks: TokenizeHooks): Promise<Corpus> {
  const options = checkedOptions(TOKENIZE_OPTIONS, input);
  const { model, bos, eos, out, data } = options;
  const weighted = data.map(parseData).find(({ weight }) => weight !== undefined);
  if (weighted) {
    throw new InputError(
      `--data ${weighted.path}: expected no weight, found ${weighted.weight}; documents are read once: weights are for train`,
    );
  }
  if (out !== undefined) await checkNew(out);
  const { onDownload: onProgress, signal } = hooks;
  const find = () => resolveModel(model, { kind: 'tokenizer', onProgress, signal });
  const { folder } = await untilStopped(find, signal, READING);
  const { lossOn, qmsum } = options;
  const tokenizer = await loadTokenizer(folder);
  const encoding = { bos, eos, lossOn, chatTemplate: readChatTemplate(folder, options.chatTemplate), qmsum };
  const encoder = encoderOf(options, { tokenizer, folder, name: model });
  const documents = await openDocuments({ ...textOptions(options, data), encoder });
  const encode = createEncode(tokenizer, encoding);
  const packing = { sequence: options.sequence, onBad: options.onBadDocument };
  const read = (writer?: ShardWriter) => readCorpus(documents, encode, packing, hooks, writer);
  if (out === undefined) return read();
  let corpus: Corpus | undefined;
  let files = 0;
  await publishFolder(out, async (unfinished) => {
    const writer = new ShardWriter(unfinished, {
      encoding: encodingOf({ ...encoding, tokenizer, name: model }),
      sources: data,
    });
    corpus = await read(writer);
    files = writer.end();
  });
  return { ...corpus!, shards: { folder: out, files } };
}

async function checkNew(out: string): Promise<void> {
  await checkRunFolder(out);
  // Not `existsSync`: a link to nothing can't be replaced by a folder either.
  if (lstatSync(out, { throwIfNoEntry: false })) {
    throw new InputError(`--out: expected a folder that is not there yet, found ${out}; choose another`);
  }
}

async function readCorpus(
  documents: DocumentSource,
  encode: Encode,
  packing: PackOptions,
  { signal, onProgress }: TokenizeHooks,
  writer: ShardWriter | undefined,
): Promise<Corpus> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const { sequence } = packing;
  const counter = new CorpusCounter();
  const bestFit = new BestFitCounter(sequence, blockRowsOf(sequence));
  const encoded = mapDocuments(documents, (document) => {
    const ids = encodedOrBad(encode, document);
    if (ids instanceof BadDocument) {
      if (packing.onBad === 'stop') throw ids;
      return ids;
    }
    const { example, id } = document;
    const known = { bytes: bytesOf(example), fraction: fractionOf(example), isText: isText(example) };
    counter.add({ ...ids, ...known }, id);
    const most = known.isText ? ids.tokens.length : sequence;
    if (!nothingToLearn(ids, most)) bestFit.add(Math.min(most, ids.tokens.length - 1));
    writer?.add({ ...ids, ...known }, example);
    return { ...ids, ...known };
  });
  const { skipped, ...stream } = await packOnce(encoded, packing, () => {
    throwIfStopped(signal, READING);
    const { documents, tokens, bytes } = counter;
    onProgress?.({ documents, tokens, bytes, seconds: elapsed() });
  });
  if (counter.documents === 0) {
    throw new InputError(
      `expected documents that can be encoded, found none (${skipped} left out); mend them`,
    );
  }
  const seconds = elapsed();
  return {
    ...counter.statistics,
    packing: { sequence, stream, bestFit: bestFit.end(), longerDocuments: counter.longerThan(sequence) },
    skipped,
    seconds,
    tokensPerSecond: ratio(counter.tokens, seconds),
  };
}

type PackOptions = Pick<RowStreamOptions, 'sequence' | 'onBad'>;

const asEncoded: Encode = (example) => example as EncodedExample;

/** Rows that are made at once: as many as a block has room for from the start. Their order is all that it changes. */
const BLOCK_ROWS = 64;

/** Packs all documents, which are encoded, as a run would. @param onRow called after each row */
async function packOnce(
  documents: DocumentSource,
  options: PackOptions,
  onRow: () => void,
): Promise<PackedRows & { readonly skipped: number }> {
  const { sequence } = options;
  const stream = new RowStream(documents, asEncoded, {
    ...options,
    blockRows: BLOCK_ROWS,
    seed: 0,
    repeat: false,
  });
  let [rows, filled] = [0, 0];
  for (let row = await stream.next(); row; row = await stream.next()) {
    rows++;
    filled += row.filled;
    onRow();
  }
  return { rows, efficiency: ratio(filled, rows * sequence), skipped: stream.cursor.skipped };
}
