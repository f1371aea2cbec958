import { elementCount } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { TILE_NUMBERS } from './tiles.js';

export const addLowering: Lowering = {
  lower: ({ inputs: [x, z], outputs: [y] }, at) => {
    const size = elementCount(y!.shape);
    const args = [at.of(x), at.of(z), at.of(y), size, TILE_NUMBERS];
    return [{ kernel: 'add', tiles: tileCount(size, TILE_NUMBERS), args }];
  },
};
