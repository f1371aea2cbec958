import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type * as Comlink from 'comlink';
import { offer, reach } from '#src/actors/actor.js';
import { Actors } from '#src/actors/actors.js';
import type { Teacher, TeacherSetup } from '#src/actors/teacher.js';
import { Threads } from '#src/actors/threads.js';
import { randomUint32 } from '#src/data/random.js';
import { type CacheDtype, type CacheIdentity, TeacherCache } from '#src/formats/teacherCache.js';
import type { BatchSource, MicroBatch } from '#src/messages.js';
import type { BatchShape } from '#src/model/programs.js';
import type { ModelFiles } from '#src/model/weights.js';
import { piecesOf } from '#src/training/pieces.js';

/** Micro-batches in the cache, which are read in turn. */
const BATCHES = 4;
/** Asked for ahead, as a run does. */
const CREDITS = 2;

/**
 * Micro-batches with a teacher's hidden states from a cache on the disk, by way of the actor that a run has for it: read,
 * checked by their hashes and sent over. The numbers are drawn, as the weights are; no teacher starts.
 */
export class CachedSignals {
  readonly #folder: string;
  readonly #actors: Actors;
  readonly #source: Comlink.Remote<BatchSource>;
  readonly #ahead: Promise<MicroBatch | null>[];

  private constructor(folder: string, actors: Actors, source: Comlink.Remote<BatchSource>) {
    this.#folder = folder;
    this.#actors = actors;
    this.#source = source;
    this.#ahead = Array.from({ length: CREDITS }, () => source.pull());
  }

  static async start(files: ModelFiles, shape: BatchShape, dtype: CacheDtype): Promise<CachedSignals> {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-cache-'));
    const identity: CacheIdentity = {
      ...{ format: 1, teacher: 'bench', tokenizer: 'bench', sequence: shape.sequence },
      ...{ width: files.config.hiddenSize, dtype, kernels: 'bench' },
    };
    const batches = Array.from({ length: BATCHES }, (_, i) => drawn(shape, files.config.vocabularySize, i));
    await fill(folder, identity, batches);
    const [toTeacher, fromTeacher, progress] = [
      new MessageChannel(),
      new MessageChannel(),
      new MessageChannel(),
    ];
    let next = 0;
    offer({ pull: async () => structuredClone(batches[next++ % BATCHES]!) }, toTeacher.port1);
    const setup: TeacherSetup = {
      ...{ files, shape, device: { name: 'wasm', threads: 1, port: new MessageChannel().port1 } },
      cache: { folder, identity, asks: false, onUnwritable: 'stop' },
      ...{ source: toTeacher.port2, port: fromTeacher.port1, progress: progress.port1 },
    };
    const actors = new Actors([], new Threads());
    await actors.start<Teacher>('teacher', setup);
    return new CachedSignals(folder, actors, reach<BatchSource>(fromTeacher.port2));
  }

  async next(): Promise<MicroBatch> {
    this.#ahead.push(this.#source.pull());
    return (await this.#ahead.shift())!;
  }

  async close(): Promise<void> {
    await Promise.all(this.#ahead);
    await this.#actors.close();
    rmSync(this.#folder, { recursive: true });
  }
}

/** A micro-batch of whole rows of one document each. */
function drawn({ rows, sequence }: BatchShape, vocabulary: number, number: number): MicroBatch {
  const size = rows * sequence;
  const token = (i: number) => randomUint32(number, 0, i) % vocabulary;
  return {
    ...{ step: 1, index: 0, last: true, documents: [], cursor: null, skipped: { total: 0, listed: [] } },
    tokens: Uint32Array.from({ length: size }, (_, i) => token(i)),
    labels: Int32Array.from({ length: size }, (_, i) => token(i + 1)),
    positions: Uint32Array.from({ length: size }, (_, i) => i % sequence),
    place: Uint32Array.from({ length: size }, (_, i) => i),
    filled: Array.from({ length: rows }, () => sequence),
    spent: { loaderMs: 0, teacherMs: 0, teacherDataMs: 0, teacherTokens: 0 },
    signal: { kind: 'none' },
  };
}

async function fill(folder: string, identity: CacheIdentity, batches: readonly MicroBatch[]): Promise<void> {
  const cache = await TeacherCache.open(folder, identity);
  const pieces = batches.flatMap(piecesOf);
  pieces.forEach(({ key, count }, number) => {
    const states = Float32Array.from(
      { length: count * identity.width },
      (_, i) => randomUint32(number, 1, i) / 2 ** 31 - 1,
    );
    cache.add(key, states);
    if (cache.isFull) cache.flush();
  });
  cache.flush();
}
