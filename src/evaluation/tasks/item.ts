/** An item of a task, whatever file it is from. */
export interface Item {
  /** As it was read. */
  readonly record: unknown;
  /** The item with its answer, as other items are shown it. */
  readonly example: string;
}

/** An item whose choices are compared by what a model makes of each. */
export interface ChoiceItem extends Item {
  /** What a model goes on from: one text for all choices, or one for each. */
  readonly contexts: readonly string[];
  /** What it is to go on with, behind a space: one for each choice, or one for all contexts. */
  readonly choices: readonly string[];
  /** Which choices are right, from 0. */
  readonly right: readonly number[];
}

/** An item whose answer a model writes. */
export interface WrittenItem extends Item {
  readonly context: string;
  /** The ids of the context, of a task that has its own way to them. */
  readonly prompt?: Uint32Array;
  readonly target: string;
}

/**
 * How examples are drawn from a pool. `random`: as many as are shown. `others`: one more, of which the item itself is
 * left out. `first`: the first ones of the pool.
 */
export type Draw = 'random' | 'others' | 'first';

/** Items that are shown examples of one pool: a whole task, or a subject of it. */
export interface Part<I extends Item = Item> {
  readonly name: string;
  readonly items: readonly I[];
  readonly pool: readonly I[];
  readonly draw: Draw;
  /** What stands before the examples. */
  readonly preamble: string;
}

/** Results of an item, or of many, by name. */
export type Metrics = Readonly<Record<string, number>>;
