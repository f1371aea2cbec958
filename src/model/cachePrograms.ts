import type { Builder } from '../program/builder.js';
import { embed } from '../program/ops/embed.js';
import { jointLossHead } from '../program/ops/joint_loss_head.js';
import { linear } from '../program/ops/linear.js';
import type { Value } from '../program/types.js';
import type { ForwardModel } from './trained.js';
import { type CachedBlock, forward } from './transformer.js';
import { headOf } from './weights.js';

/** Prompts that a cache holds at once, and the tokens that each may have. */
export interface CacheShape {
  readonly rows: number;
  readonly capacity: number;
}

/** What both kinds of programs read: `length` new tokens of each row. */
interface NewTokens {
  readonly program: string;
  /** Of a row. */
  readonly length: number;
  /** u32 [rows * length] */
  readonly tokens: Value;
  /** u32 [rows * length]: places in the document, which count on from what is cached. */
  readonly positions: Value;
  /** u32 [rows]: tokens that are cached. */
  readonly cached: Value;
  /** u32 [rows * length]: row * capacity + place where a token is kept, or NO_PLACE. */
  readonly places: Value;
}

/** Reads new tokens into the cache, and forms the logits behind one of each row. */
export interface AdvanceProgram extends NewTokens {
  /** u32 [rows]: the token of each row whose logits are wanted, counted over all rows. */
  readonly last: Value;
  /** f32 [rows, V] */
  readonly logits: Value;
}

/** Scores continuations of what is cached. Several that are kept nowhere may lie in a row, each from `cached` on. */
export interface ScoreProgram extends NewTokens {
  /** i32 [rows * length] */
  readonly labels: Value;
  /** f32 and i32 [rows * length] */
  readonly ce: Value;
  readonly argMax: Value;
}

/** The programs over one cache; the shortest first. */
export interface CachePrograms extends CacheShape {
  readonly advance: readonly AdvanceProgram[];
  readonly score: readonly ScoreProgram[];
}

/** New tokens of all rows in a program: what a pass over the weights is shared by. */
const MOST_TOKENS = 512;
/** Lengths of rows, of which those are made that a cache has room for. */
const ADVANCE_LENGTHS = [1, 8, 32, 64, 128, 256, 512];
const SCORE_LENGTHS = [8, 32, 64, 128, 256, 512];

/** Those of a cache, and one that all of it fits into in a few steps. */
const lengthsOf = (lengths: readonly number[], { rows, capacity }: CacheShape): number[] => {
  const fitting = lengths.filter((length) => length * rows <= MOST_TOKENS || length === lengths[0]);
  const enough = fitting.findIndex((length) => length >= capacity);
  return enough < 0 ? fitting : [...fitting.slice(0, enough), capacity];
};

/**
 * Declares a cache of keys and values, and the programs over it. They share `arena` with others that never overlap.
 * @param prefix of their names, where a module has several caches
 */
export function declareCache(
  b: Builder,
  model: ForwardModel,
  shape: CacheShape,
  arena: string,
  prefix = '',
): CachePrograms {
  const { config } = model.weights;
  const width = config.keyValueHeads * config.headDim;
  const held = (what: string) =>
    Array.from({ length: config.layers }, (_, block) =>
      b.value('state', `${prefix}cache.${what}.${block}`, [shape.rows * shape.capacity, width]),
    );
  const [keys, values] = [held('keys'), held('values')];
  const blocks = keys.map((value, block): CachedBlock => ({ keys: value, values: values[block]! }));
  return {
    ...shape,
    advance: lengthsOf(ADVANCE_LENGTHS, shape).map((n) =>
      declareAdvance(b, model, shape, blocks, n, { arena, prefix }),
    ),
    score: lengthsOf(SCORE_LENGTHS, shape).map((n) =>
      declareScore(b, model, shape, blocks, n, { arena, prefix }),
    ),
  };
}

/** Where a program computes, and what its name begins with. */
interface Placed {
  readonly arena: string;
  readonly prefix: string;
}

function declareNewTokens(b: Builder, program: string, { rows }: CacheShape, length: number): NewTokens {
  const input = (name: string, size: number) => b.value('input', name, [size], 'u32');
  return {
    program,
    length,
    tokens: input('tokens', rows * length),
    positions: input('positions', rows * length),
    cached: input('cached', rows),
    places: input('places', rows * length),
  };
}

/** Hidden states of new tokens, which see what is cached and are kept where they have a place. */
function readNewTokens(
  b: Builder,
  { weights, lora }: ForwardModel,
  { tokens, positions, cached, places, length }: NewTokens,
  blocks: readonly CachedBlock[],
): Value {
  const cache = { blocks, cached, places };
  return forward(b, weights, { tokens, positions, sequence: length, cache }, lora);
}

function declareAdvance(
  b: Builder,
  model: ForwardModel,
  shape: CacheShape,
  blocks: readonly CachedBlock[],
  length: number,
  { arena, prefix }: Placed,
): AdvanceProgram {
  const program = `${prefix}advance_${length}`;
  let declared: AdvanceProgram | undefined;
  b.program(program, { arena, scope: `${program}.` }, () => {
    const read = declareNewTokens(b, program, shape, length);
    const last = b.value('input', 'last', [shape.rows], 'u32');
    const hidden = readNewTokens(b, model, read, blocks);
    // The embedding of a token, with hidden states for a table: a row of it.
    const wanted = embed(b, last, hidden);
    const logits = linear(b, 'logits', [{ x: wanted, weight: headOf(model.weights) }]);
    declared = { ...read, last, logits };
  });
  return declared!;
}

function declareScore(
  b: Builder,
  model: ForwardModel,
  shape: CacheShape,
  blocks: readonly CachedBlock[],
  length: number,
  { arena, prefix }: Placed,
): ScoreProgram {
  const program = `${prefix}score_${length}`;
  let declared: ScoreProgram | undefined;
  b.program(program, { arena, scope: `${program}.` }, () => {
    const read = declareNewTokens(b, program, shape, length);
    const labels = b.value('input', 'labels', [shape.rows * length], 'i32');
    const hidden = readNewTokens(b, model, read, blocks);
    const objective = { alpha: 0, temperature: 1, gradient: false, argMax: true };
    const { ce, argMax } = jointLossHead(b, { hidden, head: headOf(model.weights), labels }, objective);
    declared = { ...read, labels, ce, argMax: argMax! };
  });
  return declared!;
}
