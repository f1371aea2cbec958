import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { type Delay, DroppedError, retrying } from './retry.js';

/** A file of a repository, as its listing says. */
export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content for a file in large storage, else git's SHA-1 of the blob: hexadecimal. */
  readonly hash: string;
}

export interface Download {
  readonly file: RemoteFile;
  /** Where the content goes; until it is whole and checked it is in `<blob>.rivulet.incomplete`. */
  readonly blob: string;
  /** Requests the file, with these headers too. @throws HttpError */
  readonly request: (headers: Readonly<Record<string, string>>) => Promise<Response>;
  readonly delay: Delay;
  /** Called with the bytes that are here by now. */
  readonly onBytes: (bytes: number) => void;
}

/** The content is not what the listing says. */
export class HashMismatch extends Error {
  override readonly name = 'HashMismatch';
}

/**
 * Fetches one file, going on from what an earlier attempt left, and checks size and hash; what was left may be damaged,
 * so a mismatch after going on starts from nothing, once. Several runs may fetch the same file at once: each writes the
 * same bytes to the same places, never appends, so that everything below the size of the unfinished file is content.
 */
export async function download(options: Download): Promise<void> {
  try {
    mkdirSync(dirname(options.blob), { recursive: true });
    await fetchBlob(options);
  } catch (error) {
    // Another run may have finished it, and taken the unfinished file away.
    if (!existsSync(options.blob)) throw error;
  }
}

async function fetchBlob(options: Download): Promise<void> {
  const { file, blob } = options;
  const unfinished = `${blob}.rivulet.incomplete`;
  const leftover = sizeOf(unfinished);
  if (leftover > file.size) rmSync(unfinished);
  await retrying(
    () => fetchRest(options, unfinished),
    options.delay,
    () => sizeOf(unfinished),
  );
  if (await isIntact(unfinished, file)) return renameSync(unfinished, blob);
  rmSync(unfinished);
  if (leftover === 0) throw new HashMismatch(`another content than ${file.hash}`);
  await fetchBlob(options);
}

/** One request, for what is still missing; a server without ranges sends everything again. */
async function fetchRest({ file, request, onBytes }: Download, unfinished: string): Promise<void> {
  const handle = await open(unfinished, constants.O_RDWR | constants.O_CREAT);
  try {
    const have = (await handle.stat()).size;
    onBytes(have);
    if (have === file.size) return;
    const response = await request(have > 0 ? { range: `bytes=${have}-` } : {});
    const start = response.status === 206 ? have : 0;
    const end = { at: start };
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    await pipeline(body, counting(end, file.size, onBytes), handle.createWriteStream({ start }));
    if (end.at < file.size) throw new DroppedError(`the answer ended after ${end.at} of ${file.size} bytes`);
  } finally {
    await handle.close();
  }
}

/** Passes chunks on and reports how far they get; an answer that is too long is cut, so it cannot fill the disk. */
function counting(end: { at: number }, limit: number, onBytes: (bytes: number) => void) {
  return async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      end.at += chunk.length;
      yield chunk;
      onBytes(end.at);
      if (end.at > limit) return;
    }
  };
}

async function isIntact(path: string, file: RemoteFile): Promise<boolean> {
  if (sizeOf(path) !== file.size) return false;
  const digest = hasherFor(file);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) digest.update(chunk);
  return digest.digest('hex') === file.hash;
}

const SHA1_DIGITS = 40;

/** What computes the hash of a file's content, in the kind that its listing has. */
export function hasherFor({ hash, size }: Pick<RemoteFile, 'hash' | 'size'>): Hash {
  return hash.length === SHA1_DIGITS ? createHash('sha1').update(`blob ${size}\0`) : createHash('sha256');
}

/** 0 for a file that is not there. */
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
