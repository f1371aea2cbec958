import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { columns, rows, type Value, valueBytes } from '../types.js';

/** The place of a token that is kept nowhere. */
export const NO_PLACE = 0xffffffff;

/**
 * target[places_t] = x_t, for each token with a place: x [T, D], target [rows, D], places u32 [T], all different but for
 * NO_PLACE. Other rows of the target stay as they are.
 */
export function scatter(b: Builder, x: Value, places: Value, target: Value): void {
  expectShape(places, [rows(x)], 'scatter');
  expectShape(target, [rows(target), columns(x)], 'scatter');
  b.call('scatter', [x, places], [target]);
}

export const scatterOp: Op = {
  name: 'scatter',
  whole: ({ outputs }) => [outputs[0]],
  cost: ({ inputs: [x] }) => ({ flops: 0, bytes: 2 * valueBytes(x!) }),
};
