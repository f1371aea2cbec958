import { type Attributes, rows, type Value } from '../../../program/types.js';
import { f32Word } from './lowering.js';

/** The uniform of attention*.wgsl. */
export const shapeOf = (q: Value, { sequence, heads, keyValueHeads, headDim }: Attributes): number[] => [
  sequence!,
  heads!,
  keyValueHeads!,
  headDim!,
  f32Word(1 / Math.sqrt(headDim!)),
  rows(q) * heads!,
];
