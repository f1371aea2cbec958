import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import xxhash from 'xxhash-wasm';
import { projectRoot } from '../../support.js';

/** Files larger than memory should be, made piece by piece, and a process that reads one. */

const WORDS = 'once upon a time there was a river that ran between the hills and never said where to'.split(
  ' ',
);

const PARAGRAPHS = Array.from({ length: 101 }, (_, i) =>
  Array.from({ length: 45 }, (_, j) => WORDS[(i * j + (i >> 4)) % 17]).join(' '),
);

/** The text of document `i`, of about 800 bytes: no two are alike. */
export const textOf = (i: number): string =>
  [i, ...[1, 3, 7, 13].map((step) => PARAGRAPHS[(i * step) % 101])].join(' ');

const MIB = 2 ** 20;
const WINDOW_OF_8_MIB = 13 << 3;

/** One zstd frame of stored blocks over lines of JSON. @returns how many documents it holds */
export async function writeZstd(path: string, bytes: number): Promise<number> {
  const hash = (await xxhash()).create64();
  const file = openSync(path, 'w');
  writeSync(file, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 4, WINDOW_OF_8_MIB]));
  let [documents, written] = [0, 0];
  while (written < bytes) {
    const lines = Array.from(
      { length: 120 },
      () => `${JSON.stringify({ text: textOf(documents++) })}\n`,
    ).join('');
    const content = Buffer.from(lines);
    const header = Buffer.alloc(3);
    header.writeUIntLE((content.length << 3) | (written + content.length < bytes ? 0 : 1), 0, 3);
    writeSync(file, header);
    writeSync(file, content);
    hash.update(content);
    written += content.length;
  }
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(Number(hash.digest() & 0xffffffffn));
  writeSync(file, checksum);
  closeSync(file);
  return documents;
}

/** Row groups of a size that no reader should hold as a whole. @returns how many documents it holds */
export async function writeParquet(path: string, bytes: number, groupBytes: number): Promise<number> {
  const schema = [
    { name: 'root', num_children: 1 },
    { name: 'text', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const,
  ];
  const writer = new ParquetWriter({ writer: fileWriter(path), schema, codec: 'UNCOMPRESSED' });
  let [documents, written] = [0, 0];
  while (written < bytes) {
    const data: string[] = [];
    for (let group = 0; group < groupBytes; group += data.at(-1)!.length) data.push(textOf(documents++));
    await writer.write({
      columnData: [{ name: 'text', data, encoding: 'PLAIN', offsetIndex: false }],
      rowGroupSize: data.length,
    });
    written += groupBytes;
  }
  await writer.finish();
  return documents;
}

interface Reading {
  readonly documents: number;
  /** UTF-16 units. */
  readonly characters: number;
  readonly mibResident: number;
  readonly seconds: number;
}

/** Reads all documents of a file in a process of its own. */
export async function readApart(path: string): Promise<Reading> {
  const script = join(projectRoot, 'build/tests/data/documents/readAll.js');
  const { stdout } = await promisify(execFile)(process.execPath, [script, path]);
  const { bytesResident, ...others } = JSON.parse(stdout) as Reading & { bytesResident: number };
  return { ...others, mibResident: bytesResident / MIB };
}
