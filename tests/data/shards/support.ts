import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BadDocument, type DocumentSource } from '#src/data/documents.js';
import type { DocumentTokenizer, Encode } from '#src/data/encoding.js';
import { bytesOf, type EncodedExample, fractionOf } from '#src/data/examples.js';
import type { Encoding } from '#src/data/shards/fingerprint.js';
import { ShardWriter } from '#src/data/shards/writer.js';

export const ENCODING: Encoding = {
  tokenizer: 'MODEL',
  fingerprint: 'f'.repeat(64),
  vocabulary: 2 ** 16,
  bos: [1],
  eos: undefined,
};

/** One id a UTF-16 unit. */
export const units: DocumentTokenizer = {
  before: Uint32Array.of(1),
  bosId: 1,
  eosId: 2,
  encode: (text) => Uint32Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)),
};

interface WriteOptions {
  readonly encoding?: Encoding;
  readonly shardBytes?: number;
}

/** @returns the folder */
export function writeShards(
  folder: string,
  examples: Iterable<EncodedExample>,
  { encoding = ENCODING, shardBytes }: WriteOptions = {},
): string {
  mkdirSync(folder, { recursive: true });
  const size = shardBytes === undefined ? {} : { shardBytes };
  const writer = new ShardWriter(folder, { encoding, sources: ['text'], ...size });
  for (const example of examples) writer.add(example);
  writer.end();
  return folder;
}

/** The documents of an epoch as they are written into shards. */
export async function encodedOf(documents: DocumentSource, encode: Encode): Promise<EncodedExample[]> {
  const encoded: EncodedExample[] = [];
  for await (const item of documents.read()) {
    if (item instanceof BadDocument) continue;
    const { example } = item;
    encoded.push({ ...encode(example), bytes: bytesOf(example), fraction: fractionOf(example) });
  }
  return encoded;
}

export const shardName = (number: number): string => `tokens-${String(number).padStart(5, '0')}.safetensors`;
export const shardPath = (folder: string, number = 0): string => join(folder, shardName(number));
