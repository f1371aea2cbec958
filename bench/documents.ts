import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tokenize } from 'rivulet';
import { BadDocument, openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { bytesOf } from '#src/data/examples.js';
import { blockRowsOf, type Packing, RowStream } from '#src/data/packing.js';
import { loadTokenizer, type Tokenizer } from '#src/data/tokenizer.js';
import { textOf } from '#tests/data/documents/large.js';
import { compressed, jsonl, Library, parquet, zstdFrame } from '#tests/data/documents/support.js';
import { sharedPath } from '#tests/support.js';

const DOCUMENTS = 20_000;
const ROUNDS = 5;
/** Times the stories, for token shards: some 10 M tokens. */
const CORPUS_STORIES = 10;
const SEQUENCE = 1024;
const PACKINGS = ['stream', 'best-fit'] as const;

export interface DocumentsResult {
  readonly case: string;
  /** MB (10^6 bytes of UTF-8 text) a second of CPU time, median. */
  readonly mbps?: number;
  /** Tokens a second of CPU time, read, tokenized, packed and shuffled, median. */
  readonly tokens_per_s?: number;
}

/** Reading documents in every format, and the rows of one with the Llama 3 tokenizer where the shared data is. */
export async function measureDocuments(): Promise<DocumentsResult[]> {
  const library = new Library('bench-documents');
  const results: DocumentsResult[] = [];
  for (const [name, content] of Object.entries(filesOf(DOCUMENTS))) {
    const path = library.put(name, content);
    results.push({ case: name, mbps: (await perSecond(() => readAll(path))) / 1e6 });
  }
  const [folder, stories] = [sharedPath('data/tokenizers/llama3'), sharedPath('data/text/tinystories.txt')];
  if (folder && stories) {
    const tokenizer = await loadTokenizer(folder);
    const path = library.put('stories.jsonl', jsonl(readFileSync(stories, 'utf8').split(/\n(?!\n)/)));
    for (const packing of PACKINGS) {
      const rate = await perSecond(() => packAll(path, tokenizer, packing));
      results.push({ case: `stories.jsonl to rows, ${packing}`, tokens_per_s: rate });
    }
    const out = join(library.folder, 'shards');
    await tokenize({ model: folder, data: new Array<string>(CORPUS_STORIES).fill(path), out });
    for (const packing of PACKINGS) {
      const rate = await perSecond(() => packAll(out, tokenizer, packing));
      results.push({ case: `shards to rows, ${packing}`, tokens_per_s: rate });
    }
  }
  rmSync(library.folder, { recursive: true });
  return results;
}

function filesOf(count: number): Record<string, string | Buffer> {
  const texts = Array.from({ length: count }, (_, i) => textOf(i));
  const lines = jsonl(texts);
  return {
    'a.txt': texts.join('\n'),
    'a.jsonl': lines,
    'a.json': JSON.stringify(texts.map((text) => ({ text }))),
    'a.csv': `text\n${texts.map((text) => `"${text}"\n`).join('')}`,
    'a.jsonl.gz': compressed('gz', lines),
    'stored.jsonl.zst': compressed('zst', lines),
    'plain.parquet': parquet(texts, { codec: 'UNCOMPRESSED' }),
    'snappy.parquet': parquet(texts, { codec: 'SNAPPY' }),
    'gzip.parquet': parquet(texts, { codec: 'GZIP', compressors: { GZIP: (bytes) => gzipSync(bytes) } }),
    'stored-zstd.parquet': parquet(texts, {
      codec: 'ZSTD',
      compressors: { ZSTD: (bytes) => zstdFrame(bytes) },
    }),
  };
}

async function readAll(path: string): Promise<number> {
  let bytes = 0;
  for await (const item of (await openDocuments({ paths: [path], separator: '\n' })).read()) {
    if (!(item instanceof BadDocument)) bytes += bytesOf(item.example);
  }
  return bytes;
}

async function packAll(path: string, tokenizer: Tokenizer, packing: Packing): Promise<number> {
  const options = {
    ...{ sequence: SEQUENCE, blockRows: blockRowsOf(SEQUENCE), packing },
    ...{ seed: 1, repeat: false },
  };
  const encode = createEncode(tokenizer, { eos: false });
  const rows = new RowStream(await openDocuments({ paths: [path] }), encode, options);
  let tokens = 0;
  for (let row = await rows.next(); row; row = await rows.next()) tokens += row.filled;
  return tokens;
}

/** What `work` says it did, by its CPU time: median of some rounds. */
async function perSecond(work: () => Promise<number>): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage();
    const amount = await work();
    const { user, system } = process.cpuUsage(start);
    rates.push((amount * 1e6) / (user + system));
  }
  return rates.sort((a, b) => a - b)[ROUNDS >> 1]!;
}

export const documentsLine = ({ case: name, mbps, tokens_per_s }: DocumentsResult): string =>
  `documents ${name.padEnd(28)} ${mbps === undefined ? `${(tokens_per_s! / 1e6).toFixed(2)} M tokens/s` : `${mbps.toFixed(0)} MB/s`}`;
