import type { Compression } from './content.js';
import { readCsv, readTsv } from './csv.js';
import { readJson } from './json.js';
import { readJsonl } from './jsonl.js';
import { readShards } from './shards.js';
import type { Reader } from './text.js';
import { readTxt } from './txt.js';

export interface Format {
  readonly name: 'txt' | 'jsonl' | 'ndjson' | 'json' | 'csv' | 'tsv' | 'parquet' | 'safetensors';
  readonly compression: Compression;
}

/** Loads its libraries, which most runs do without. */
const readParquet: Reader = async function* (...file) {
  const parquet = await import('./parquet.js');
  yield* parquet.readParquet(...file);
};

/** One file per format. */
export const READERS: Readonly<Record<Format['name'], Reader>> = {
  txt: readTxt,
  jsonl: readJsonl,
  ndjson: readJsonl,
  json: readJson,
  csv: readCsv,
  tsv: readTsv,
  parquet: readParquet,
  safetensors: readShards,
};

const { safetensors: _, ...TEXT } = READERS;
const ENDINGS = new RegExp(`\\.(?:(${Object.keys(TEXT).join('|')})(?:\\.(gz|zst))?|(safetensors))$`, 'i');
const COMPRESSIONS: Readonly<Record<string, Compression>> = { gz: 'gzip', zst: 'zstd' };

/** For messages. */
export const KNOWN_ENDINGS = `${Object.keys(TEXT)
  .map((name) => `.${name}`)
  .join(', ')}, each also with .gz or .zst, or token shards in .safetensors`;

/** As its name says; undefined where documents are not read from such files. */
export function formatOf(path: string): Format | undefined {
  const [, text, ending, shard] = ENDINGS.exec(path) ?? [];
  const name = text ?? shard;
  if (name === undefined) return undefined;
  return {
    name: name.toLowerCase() as Format['name'],
    compression: ending === undefined ? 'none' : COMPRESSIONS[ending.toLowerCase()]!,
  };
}
