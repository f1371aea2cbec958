import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeFolder } from './checkpointFiles.js';
import { bfloat16ToFloat32, float32ToBfloat16 } from './float16.js';
import { wholeHash } from './hashes.js';
import { lengthOf, type TensorData } from './safetensors.js';
import { type CacheIdentity, checkIdentity } from './teacherCache/identity.js';
import {
  listSegments,
  openSegment,
  readStates,
  removeStale,
  type StoredStates,
  writeSegment,
} from './teacherCache/segments.js';

export { bytesPerToken, type CacheDtype, type CacheIdentity } from './teacherCache/identity.js';

/** States that are kept until they are a segment. */
const SEGMENT_BYTES = 64 * 2 ** 20;

/**
 * A teacher's hidden states on the disk, by the tokens of a piece. Several processes may fill one folder: each publishes
 * whole segments of its own, and a piece that two of them stored is there twice.
 */
export class TeacherCache {
  readonly #folder: string;
  readonly #identity: CacheIdentity;
  readonly #hash: (bytes: Uint8Array) => string;
  readonly #segments = new Set<string>();
  readonly #stored = new Map<string, StoredStates>();
  #waiting = new Map<string, TensorData>();
  #waitingBytes = 0;

  private constructor(folder: string, identity: CacheIdentity, hash: (bytes: Uint8Array) => string) {
    this.#folder = folder;
    this.#identity = identity;
    this.#hash = hash;
  }

  /**
   * Reads what is in a folder, which need not exist: headers alone.
   * @throws InputError when a segment is damaged, or holds states of something else
   */
  static async open(folder: string, identity: CacheIdentity): Promise<TeacherCache> {
    const cache = new TeacherCache(folder, identity, await wholeHash());
    cache.refresh();
    return cache;
  }

  /** What the first segment in a folder holds states of; undefined where there is none. @throws as `open` does */
  static async peek(folder: string): Promise<CacheIdentity | undefined> {
    const [name] = listSegments(folder);
    return name === undefined ? undefined : openSegment(folder, name, await wholeHash()).identity;
  }

  /** Names of the segments that are known. */
  get segments(): readonly string[] {
    return [...this.#segments];
  }

  /** Whether what waits is enough for a segment. */
  get isFull(): boolean {
    return this.#waitingBytes >= SEGMENT_BYTES;
  }

  has(key: string): boolean {
    return this.#stored.has(key) || this.#waiting.has(key);
  }

  /** Takes notice of segments that others have published. @throws as `open` does */
  refresh(): void {
    for (const name of listSegments(this.#folder)) {
      if (this.#segments.has(name)) continue;
      const { identity, pieces } = openSegment(this.#folder, name, this.#hash);
      checkIdentity(join(this.#folder, name), identity, this.#identity);
      for (const [key, stored] of pieces) if (!this.#stored.has(key)) this.#stored.set(key, stored);
      this.#segments.add(name);
    }
  }

  /**
   * Puts the hidden states of a piece that is there into `target`, [n, D].
   * @throws InputError naming file and byte when they are not as they were written
   */
  read(key: string, target: Float32Array): void {
    const waiting = this.#waiting.get(key);
    const isExact = this.#identity.dtype === 'f32';
    if (waiting) {
      if (isExact) target.set(waiting.data as Float32Array);
      else bfloat16ToFloat32(waiting.data as Uint16Array, target);
      return;
    }
    const { buffer, byteOffset, length } = isExact ? target : new Uint16Array(target.length);
    readStates(
      this.#stored.get(key)!,
      new Uint8Array(buffer, byteOffset, length * (isExact ? 4 : 2)),
      this.#hash,
    );
    if (!isExact) bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, length), target);
  }

  /** Keeps a copy of a piece's hidden states, [n, D], for the next segment. */
  add(key: string, states: Float32Array): void {
    const { width, dtype } = this.#identity;
    const shape = [states.length / width, width];
    const data = dtype === 'f32' ? states.slice() : new Uint16Array(lengthOf({ shape }));
    if (data instanceof Uint16Array) float32ToBfloat16(states, data);
    this.#waiting.set(key, { dtype: dtype === 'f32' ? 'F32' : 'BF16', shape, data });
    this.#waitingBytes += data.byteLength;
  }

  /**
   * Publishes what waits.
   * @throws the system's error when it can't be written, or as `open` does for what others have published: it waits on
   */
  flush(): void {
    if (this.#waiting.size === 0) return;
    this.refresh();
    makeFolder(resolve(this.#folder));
    removeStale(this.#folder);
    writeSegment(this.#folder, this.#identity, this.#waiting, this.#hash);
    this.refresh();
    this.forget();
  }

  /** Gives up what waits. */
  forget(): void {
    this.#waiting = new Map();
    this.#waitingBytes = 0;
  }
}

/** The segments in a folder, and the bytes of all of them. */
export function storedSegments(folder: string): {
  readonly names: readonly string[];
  readonly bytes: number;
} {
  const names = listSegments(folder);
  return { names, bytes: names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) };
}
