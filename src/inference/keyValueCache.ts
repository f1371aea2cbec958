import { InputError } from '../base/errors.js';
import { throwIfStopped } from '../base/stopping.js';
import { NO_LABEL } from '../data/packing/rows.js';
import type { Session } from '../devices/device.js';
import { bothScores, type ContinuationScore, NO_SCORE } from '../evaluation/scoring.js';
import type { AdvanceProgram, CachePrograms, ScoreProgram } from '../model/cachePrograms.js';
import type { Value } from '../program/types.js';
import { type Piece, piecesOf, slotsOf, type Tokens, takeUpTo } from './continuationPieces.js';
import { Slots } from './slots.js';

const READING = 'read the whole text';

export interface ReadingHooks {
  /** See `Session.run`. */
  readonly priority?: number | undefined;
  /** Looked at before each replay. */
  readonly signal?: AbortSignal | undefined;
}

/** What a cache needs of the session. */
export type CacheSession = Pick<Session, 'write' | 'run' | 'read'>;

type Logits = (Float32Array | undefined)[];

const NOTHING: Tokens = [];

/**
 * Keys and values of the tokens that each of `rows` prompts has been read up to. Prompts may be of different lengths; calls
 * read all rows at once, and their work is that of the longest. Calls must not overlap, nor with others of the session.
 * Methods throw a RunError when the signal says stop; what was read by then is held.
 */
export class KeyValueCache {
  readonly rows: number;
  /** Tokens that a row has room for. */
  readonly capacity: number;
  /** Tokens that went through the model so far, without padding. */
  forwarded = 0;
  readonly #session: CacheSession;
  readonly #programs: CachePrograms;
  readonly #held: number[][];

  /** @param programs of a module that `session` was compiled from */
  constructor(session: CacheSession, programs: CachePrograms) {
    this.rows = programs.rows;
    this.capacity = programs.capacity;
    this.#session = session;
    this.#programs = programs;
    this.#held = Array.from({ length: programs.rows }, () => []);
  }

  /** Tokens that a row holds. */
  length(row: number): number {
    return this.#held[row]!.length;
  }

  /** Forgets all tokens. */
  reset(): void {
    for (const held of this.#held) held.length = 0;
  }

  /**
   * Has each row hold one prompt: of what it holds, the beginning that they share stays, the rest is forgotten, and what is
   * missing is read.
   * @param prompts of at least one token each; rows that are left out wait, and hold what they do
   * @returns for each row with a prompt, logits f32 [V] of what comes next
   * @throws InputError when a row has no room for its prompt
   */
  async read(prompts: readonly Tokens[], hooks: ReadingHooks = {}): Promise<Logits> {
    for (const { length } of prompts) this.#checkRoom(length);
    const rest = prompts.map((prompt, row) => {
      const held = this.#held[row]!;
      // The last token is read in any case: its logits are wanted.
      const most = Math.min(held.length, prompt.length - 1);
      let shared = 0;
      while (shared < most && held[shared] === prompt[shared]) shared++;
      held.length = shared;
      return Array.prototype.slice.call(prompt, shared) as number[];
    });
    return this.prefill(rest, hooks);
  }

  /**
   * Reads tokens behind those that each row holds.
   * @param tokens of each row; rows that are left out, or have none, wait
   * @returns for each row that has read some, logits f32 [V] of what comes next
   * @throws InputError when a row has no room for them; nothing is read then
   */
  async prefill(tokens: readonly Tokens[], hooks: ReadingHooks = {}): Promise<Logits> {
    const read = this.#held.map((_, row) => tokens[row] ?? NOTHING);
    for (const [row, { length }] of read.entries()) this.#checkRoom(this.length(row) + length);
    const logits: Logits = new Array(this.rows).fill(undefined);
    const longest = Math.max(...read.map(({ length }) => length));
    for (let from = 0; from < longest; ) {
      const program = fitting(this.#programs.advance, longest - from);
      const to = from + program.length;
      const parts = read.map((row) => Array.prototype.slice.call(row, from, to) as number[]);
      await this.#advance(program, parts, hooks);
      for (const [row, { length }] of read.entries()) {
        if (from < length && length <= to) logits[row] = await this.#rowOf(program.logits, row);
      }
      from = to;
    }
    return logits;
  }

  /** The same of one token a row; undefined for a row that waits. */
  advance(ids: readonly (number | undefined)[], hooks: ReadingHooks = {}): Promise<Logits> {
    const tokens = ids.map((id) => (id === undefined ? NOTHING : [id]));
    return this.prefill(tokens, hooks);
  }

  /**
   * Scores the tokens of continuations from their second one on, given what their row holds and what comes before in the
   * continuation. The cache stays as it is.
   * @param continuations of each row, of at least two tokens each
   * @returns log-likelihoods of all tokens but the first, in the order of the continuations
   * @throws InputError when a row has no room for one of them
   */
  async score(
    continuations: readonly (readonly Tokens[])[],
    hooks: ReadingHooks = {},
  ): Promise<ContinuationScore[][]> {
    for (const [row, ofRow] of continuations.entries())
      for (const { length } of ofRow) this.#checkRoom(this.length(row) + length - 1);
    const most = this.#programs.score.at(-1)!.length;
    const waiting = this.#held.map((_, row) => piecesOf(continuations[row] ?? [], most));
    const scores = this.#held.map((_, row) => (continuations[row] ?? []).map(() => NO_SCORE));
    while (waiting.some((row) => row.length > 0)) {
      const parts = waiting.map((row) => takeUpTo(row, most));
      const longest = Math.max(...parts.map(slotsOf));
      const program = this.#programs.score.find(({ length }) => length >= longest)!;
      for (const [row, found] of (await this.#score(program, parts, hooks)).entries()) {
        for (const [i, score] of found.entries()) {
          const { of } = parts[row]![i]!;
          scores[row]![of] = bothScores(scores[row]![of]!, score);
        }
      }
    }
    return scores;
  }

  #checkRoom(tokens: number): void {
    if (tokens <= this.capacity) return;
    throw new InputError(
      `expected at most ${this.capacity} tokens of a text and what follows, found ${tokens}; raise --context, or shorten it`,
    );
  }

  async #advance(
    program: AdvanceProgram,
    parts: readonly (readonly number[])[],
    hooks: ReadingHooks,
  ): Promise<void> {
    const slots = new Slots(this.rows, program.length, this.capacity);
    const last = new Uint32Array(this.rows);
    for (const [row, part] of parts.entries()) {
      slots.begin(row, part.length > 0 ? this.length(row) : 0);
      slots.add(row, part, true);
      last[row] = row * program.length + Math.max(0, part.length - 1);
    }
    await this.#session.write(program.last, last);
    await this.#run(program, slots, hooks);
    for (const [row, part] of parts.entries()) this.#held[row]!.push(...part);
  }

  async #score(
    program: ScoreProgram,
    parts: readonly (readonly Piece[])[],
    hooks: ReadingHooks,
  ): Promise<ContinuationScore[][]> {
    const slots = new Slots(this.rows, program.length, this.capacity);
    const labels = new Int32Array(slots.tokens.length).fill(NO_LABEL);
    for (const [row, part] of parts.entries()) {
      slots.begin(row, part.length > 0 ? this.length(row) : 0);
      for (const { tokens, isKept } of part) {
        const first = slots.add(row, tokens.slice(0, -1), isKept);
        labels.set(tokens.slice(1), first);
      }
    }
    await this.#session.write(program.labels, labels);
    await this.#run(program, slots, hooks);
    for (const [row, part] of parts.entries()) {
      const held = this.#held[row]!;
      for (const { tokens, isKept, back } of part) {
        if (isKept) held.push(...tokens.slice(0, -1));
        held.length -= back;
      }
    }
    const ce = (await this.#session.read(program.ce)) as Float32Array;
    const argMax = (await this.#session.read(program.argMax)) as Int32Array;
    return parts.map((part, row) => {
      let at = row * program.length;
      return part.map(({ tokens }) => {
        const to = at + tokens.length - 1;
        const score = sumOf(ce.subarray(at, to), argMax.subarray(at, to), labels.subarray(at, to));
        at = to;
        return score;
      });
    });
  }

  async #run(
    program: AdvanceProgram | ScoreProgram,
    slots: Slots,
    { priority, signal }: ReadingHooks,
  ): Promise<void> {
    throwIfStopped(signal, READING);
    const names = ['tokens', 'positions', 'cached', 'places'] as const;
    await Promise.all(names.map((name) => this.#session.write(program[name], slots[name])));
    await this.#session.run(program.program, priority);
    this.forwarded += slots.filled;
  }

  async #rowOf(logits: Value, row: number): Promise<Float32Array> {
    const width = logits.shape[1]!;
    return (await this.#session.read(logits, row * width, width)) as Float32Array;
  }
}

/** Padding of a row that costs less than another pass over the weights. */
const MOST_PADDING = 32;
/** Padding, as a share of a program's slots, that is better than to cut a text in two. */
const MOST_PADDED = 0.25;

/** The program for the next of `length` tokens of a row: one that all of them fit into without much padding, or that they fill. */
function fitting<P extends { readonly length: number }>(programs: readonly P[], length: number): P {
  const room = programs.find((program) => program.length >= length);
  const padding = (room?.length ?? Number.POSITIVE_INFINITY) - length;
  if (room && padding <= Math.max(MOST_PADDING, MOST_PADDED * room.length)) return room;
  return programs.findLast((program) => program.length <= length) ?? room!;
}

function sumOf(ce: Float32Array, argMax: Int32Array, labels: Int32Array): ContinuationScore {
  return {
    logLikelihood: -ce.reduce((sum, value) => sum + value, 0),
    tokens: ce.length,
    isGreedy: argMax.every((id, i) => id === labels[i]),
  };
}
