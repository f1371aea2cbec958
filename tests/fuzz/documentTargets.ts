import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '#src/base/errors.js';
import { localFiles } from '#src/data/documents/files.js';
import { readTable } from '#src/data/documents/tables.js';
import { BadDocument, openDocuments, type Place } from '#src/data/documents.js';
import { compressed, jsonl, type ParquetOptions, parquet, zstdFrame } from '../data/documents/support.js';
import { MEETING, meetingLines, OTHER } from '../data/meetings.js';
import { shardPath, units, writeShards } from '../data/shards/support.js';
import { projectRoot, temporaryFolder } from '../support.js';
import { mutateBytes, mutateJson } from './mutations.js';
import type { Target } from './targets.js';

/** Text files of every kind, and what reads them. */

const TEXTS = Array.from({ length: 12 }, (_, i) => `text ${i} é😀 "${'lorem, ipsum\n'.repeat(i)}"`);
const CSV = `number,text\n${TEXTS.map((text, i) => `${i},"${text.replaceAll('"', '""')}"`).join('\n')}\n`;
const JSON_TEXT = JSON.stringify(TEXTS.map((text, number) => ({ number, text })));

const CHAT = TEXTS.map((content) =>
  JSON.stringify({
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: [{ type: 'text' }] },
    ],
    tools: [{}],
  }),
).join('\n');

const MEETINGS = meetingLines([MEETING, OTHER]);

const withCodec = (codec: string, compress?: (bytes: Uint8Array) => Uint8Array): ParquetOptions =>
  ({
    codec,
    rowGroupSize: 7,
    pageSize: 150,
    ...(compress && { compressors: { [codec]: compress } }),
  }) as ParquetOptions;

/** Documents of an id a UTF-16 unit, every other one with a mask. */
function shard(): Buffer {
  const examples = TEXTS.map((text, i) => {
    const tokens = units.encode(text);
    const learned = i % 2 === 0 ? undefined : tokens.map((id) => id % 2);
    return { tokens, learned: learned && Uint8Array.from(learned), bytes: text.length, fraction: i / 12 };
  });
  return readFileSync(shardPath(writeShards(temporaryFolder('fuzz-shards'), examples)));
}

const golden = (name: string) => readFileSync(join(projectRoot, 'tests/goldens/documents', name));

const FILES: Readonly<Record<string, string | Buffer>> = {
  'a.txt': TEXTS.join('|'),
  'a.jsonl': jsonl(TEXTS),
  'meetings.jsonl': MEETINGS,
  'a.json': JSON_TEXT,
  'a.csv': CSV,
  'a.jsonl.gz': compressed('gz', jsonl(TEXTS), [300, 700]),
  'a.jsonl.zst': compressed('zst', jsonl(TEXTS), [300, 700]),
  'level-3.jsonl.zst': golden('level-3.jsonl.zst'),
  'plain.parquet': parquet(TEXTS, withCodec('UNCOMPRESSED')),
  'snappy.parquet': parquet(TEXTS, withCodec('SNAPPY')),
  'gzip.parquet': parquet(TEXTS, withCodec('GZIP', gzipSync)),
  'zstd.parquet': parquet(TEXTS, withCodec('ZSTD', zstdFrame)),
  'dictionary.parquet': parquet([...TEXTS, ...TEXTS, ...TEXTS], withCodec('SNAPPY')),
  'delta.parquet': golden('pyarrow-delta_byte_array.parquet'),
  'polars.parquet': golden('polars.parquet'),
  'conversations.parquet': golden('conversations-v1.parquet'),
  'conversations-v2.parquet': golden('conversations-v2.parquet'),
  'pairs.parquet': golden('pairs.parquet'),
  'chat.jsonl': CHAT,
  'inside.parquet.gz': gzipSync(parquet(TEXTS)),
  'ids.safetensors': shard(),
};

/** What zstd allows for a window: a frame of any size may ask for it. */
const WINDOW_BYTES = 2 ** 27;

/** Reads a file with what is bad left out, then as far as nothing is. */
async function readBothWays(path: string, place?: Place): Promise<void> {
  let last: Place | undefined;
  const skipping = await openDocuments({ paths: [path], separator: '|', onBad: 'skip' });
  try {
    for await (const item of skipping.read(place)) if (!(item instanceof BadDocument)) last = item.place;
    if (last) {
      const { value } = await skipping.read(last).next();
      if (!value || !('example' in value)) throw new Error('a place of no document');
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  const stopping = await openDocuments({ paths: [path], separator: '|' });
  for await (const _ of stopping.read(place));
}

export async function makeDocumentTargets(): Promise<Target[]> {
  const targets: Target[] = [];
  for (const [name, content] of Object.entries(FILES)) {
    const folder = temporaryFolder('fuzz-documents');
    writeFileSync(join(folder, name), content);
    const mutations = name === 'a.json' ? [mutateJson, mutateBytes] : [mutateBytes];
    targets.push({
      ...{ name: 'documents', folder, files: { [name]: mutations } },
      ...(name.includes('zst') && { extraBytes: WINDOW_BYTES }),
      load: (path) => readBothWays(join(path, name)),
    });
  }
  return [...targets, ...TABLES.map(tableTarget), await placeTarget()];
}

/** Files of benchmarks, which are read as tables. */
const TABLES = ['arc', 'hellaswag', 'mmlu', 'truthfulqa'].map((name) => `${name}.parquet`);

function tableTarget(name: string): Target {
  const folder = temporaryFolder('fuzz-tables');
  copyFileSync(join(projectRoot, 'tests/goldens/tasks', name), join(folder, name));
  return {
    ...{ name: 'tables', folder, files: { [name]: [mutateBytes] } },
    load: async (path) => readTable(localFiles(join(path, name))[0]!),
  };
}

/** A place in a checkpoint, as damage leaves it. */
async function placeTarget(): Promise<Target> {
  const folder = temporaryFolder('fuzz-place');
  const path = join(folder, 'a.jsonl.gz');
  writeFileSync(path, FILES['a.jsonl.gz']!);
  let place: Place | undefined;
  for await (const item of (await openDocuments({ paths: [path] })).read())
    if ('place' in item) place = item.place;
  writeFileSync(join(folder, 'place.json'), JSON.stringify(place));
  return {
    ...{ name: 'place', folder, files: { 'place.json': [mutateJson] } },
    async load(damaged) {
      const read = (): unknown => JSON.parse(readFileSync(join(damaged, 'place.json'), 'utf8'));
      const found = parsed(read);
      if (found !== undefined) await readBothWays(join(damaged, 'a.jsonl.gz'), found as Place);
    },
  };
}

function parsed(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
