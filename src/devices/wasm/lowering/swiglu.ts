import { elementCount } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { TILE_NUMBERS } from './tiles.js';

export const swigluLowering: Lowering = {
  lower: ({ inputs: [gate, up], outputs: [y] }, at) => {
    const size = elementCount(y!.shape);
    const args = [at.of(gate), at.of(up), at.of(y), size, TILE_NUMBERS];
    return [{ kernel: 'swiglu', tiles: tileCount(size, TILE_NUMBERS), args }];
  },
};

export const swigluDxLowering: Lowering = {
  lower: ({ inputs: [dy, gate, up], outputs: [dGate, dUp] }, at) => {
    const size = elementCount(dGate!.shape);
    const args = [at.of(dy), at.of(gate), at.of(up), at.of(dGate), at.of(dUp), size, TILE_NUMBERS];
    return [{ kernel: 'swiglu_dx', tiles: tileCount(size, TILE_NUMBERS), args }];
  },
};
