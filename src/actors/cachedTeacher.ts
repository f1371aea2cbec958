import { InputError, RunError } from '../base/errors.js';
import { systemCode } from '../formats/json.js';
import type { CacheIdentity, TeacherCache } from '../formats/teacherCache.js';
import type { MicroBatch } from '../messages.js';
import { type PieceTokens, piecesOf } from '../training/pieces.js';
import type { Place } from '../world/world.js';
import type { TeacherAnswer, TeacherSource } from './liveTeacher.js';

/** A cache of hidden states, and what is done with it. */
export interface CacheSetup {
  readonly folder: string;
  readonly identity: CacheIdentity;
  /** Whether the teacher is asked for what is not there: not where other kernels filled the cache. */
  readonly asks: boolean;
  /** Where states can't be written, or others put something else into the folder: stop, or tell of it and go on without keeping more. */
  readonly onUnwritable: 'stop' | 'go on';
  /**
   * Of ranks that fill the cache together and are given the same micro-batches, each a step: which ones are this rank's.
   * Absent: all of them.
   */
  readonly share?: Pick<Place, 'rank' | 'size'> | undefined;
}

/**
 * Answers from a cache. The teacher starts with the first micro-batch of which a piece is not there, and reads all of it.
 * A piece's states are those that were stored first, also where the teacher has just read it again. Of ranks that share a
 * text, the one whose micro-batch has a piece first stores it: what is stored is what one rank alone would have.
 */
export class CachedTeacher implements TeacherSource {
  readonly #setup: CacheSetup;
  readonly #cache: TeacherCache;
  readonly #start: () => Promise<TeacherSource>;
  readonly #tell: (note: string) => void;
  /** Pieces that other ranks store. */
  readonly #elsewhere = new Set<string>();
  #live: Promise<TeacherSource> | undefined;
  #keeps = true;

  /** @param start starts the teacher. @param tell is told, once, that nothing more is kept, and why */
  constructor(
    setup: CacheSetup,
    cache: TeacherCache,
    start: () => Promise<TeacherSource>,
    tell: (note: string) => void,
  ) {
    this.#setup = setup;
    this.#cache = cache;
    this.#start = start;
    this.#tell = tell;
  }

  async read(batch: MicroBatch): Promise<TeacherAnswer> {
    const { identity, share } = this.#setup;
    const { width } = identity;
    const pieces = piecesOf(batch);
    const missing = pieces.filter(({ key }) => !this.#cache.has(key) && !this.#elsewhere.has(key));
    if (share && (batch.step - 1) % share.size !== share.rank) {
      for (const { key } of missing) this.#elsewhere.add(key);
      return { hidden: new Float32Array(0), tokens: 0, ms: 0 };
    }
    const { tokens, ms } = missing.length > 0 ? await this.#ask(batch, missing) : { tokens: 0, ms: 0 };
    const begin = performance.now();
    const hidden = new Float32Array(batch.tokens.length * width);
    for (const { first, count, key } of pieces) {
      if (this.#elsewhere.has(key) && !this.#cache.has(key)) continue;
      this.#cache.read(key, hidden.subarray(first * width, (first + count) * width));
    }
    if (!this.#keeps) this.#cache.forget();
    else if (this.#cache.isFull) this.flush();
    return { hidden, tokens, ms: ms + performance.now() - begin };
  }

  /** Puts what the teacher said since the last time on the disk. */
  flush(): void {
    if (!this.#keeps) return;
    try {
      this.#cache.flush();
    } catch (error) {
      this.#stopKeeping(error);
    }
  }

  async #ask(batch: MicroBatch, missing: readonly PieceTokens[]): Promise<TeacherAnswer> {
    const { folder, identity, asks } = this.#setup;
    if (!asks) {
      throw new RunError(
        `--teacher-cache: expected all of the text in ${folder}, whose states are of ${identity.kernels} kernels, found ` +
          `a piece of ${batch.documents[0]} missing; fill it on such a device, or choose another folder`,
      );
    }
    this.#live ??= this.#start();
    const answer = await (await this.#live).read(batch);
    for (const { first, count, key } of missing) {
      if (this.#cache.has(key)) continue;
      this.#cache.add(key, answer.hidden.subarray(first * identity.width, (first + count) * identity.width));
    }
    return answer;
  }

  #stopKeeping(error: unknown): void {
    const { folder, onUnwritable } = this.#setup;
    const isForeign = error instanceof InputError;
    if (isForeign && onUnwritable === 'stop') throw error;
    const problem = isForeign
      ? error.message
      : `--teacher-cache: expected to write to ${folder}, found ${systemCode(error)}`;
    if (onUnwritable === 'stop') {
      throw new RunError(`${problem}; what was stored before is whole: mend that, then start again to go on`);
    }
    this.#keeps = false;
    this.#cache.forget();
    this.#tell(`${problem}; training goes on, and no more of the teacher's states are kept`);
  }
}
