import { InputError } from '../../../base/errors.js';
import { rows, type Value } from '../../../program/types.js';
import { rowGrid } from './grid.js';
import { f32Word, floatType, type Lowering } from './lowering.js';

/** kernels/cached_attention.wgsl: THREADS * MOST_COLUMNS. */
const MOST_HEAD_DIM = 256;

export const cachedAttentionLowering: Lowering = {
  lower: ({ inputs, outputs, attributes }, at) => {
    const [q, k, v] = inputs as Value[];
    const [o] = outputs as Value[];
    const { sequence, heads, keyValueHeads, headDim, capacity } = attributes;
    if (headDim! > MOST_HEAD_DIM) {
      throw new InputError(
        `Expected heads of at most ${MOST_HEAD_DIM}, found heads of ${headDim}: use another model, or --device wasm`,
      );
    }
    const workgroups = rows(q!) * heads!;
    const scale = f32Word(1 / Math.sqrt(headDim!));
    return [
      {
        file: 'cached_attention',
        entry: 'cached_attention',
        types: { Q: floatType(q, at), K: floatType(k, at), V: floatType(v, at), O: floatType(o, at) },
        constants: {},
        shape: [sequence!, heads!, keyValueHeads!, headDim!, scale, capacity!, workgroups],
        bindings: [...(inputs as Value[]).map((value) => at.of(value)), at.of(o!)],
        groups: rowGrid(workgroups, at),
      },
    ];
  },
};
