import type { Kwargs, Value } from './values.js';

/** What filters and tests may ask of the rendering that they are part of. */
export interface Context {
  readonly filter: (name: string, value: Value, args: readonly Value[], kwargs: Kwargs) => Value;
  readonly test: (name: string, value: Value, args: readonly Value[], kwargs: Kwargs) => boolean;
}

/** What a filter is given besides its value, by the order of its parameters. */
type Argument = Value | undefined;

/** A filter that takes its arguments by name, or all as they come. */
export type Filter =
  | readonly [
      parameters: string,
      run: (value: Value, a: Argument, b: Argument, c: Argument, d: Argument) => Value,
    ]
  | { readonly all: (context: Context, value: Value, args: readonly Value[], kwargs: Kwargs) => Value };
