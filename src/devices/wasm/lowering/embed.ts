import { columns, elementCount, rows } from '../../../program/types.js';
import { dtypeCode, type KernelCall, type Lowering, tileCount } from './lowering.js';
import { rowsPerTile, TILE_NUMBERS } from './tiles.js';

export const embedLowering: Lowering = {
  lower: ({ inputs: [tokens, weight], outputs: [x] }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const perTile = rowsPerTile(width);
    const args = [at.of(tokens), at.of(weight), at.of(x), dtypeCode(weight), height, width, perTile];
    return [{ kernel: 'embed', tiles: tileCount(height, perTile), args }];
  },
};

/** Numbers in a cache line, and about how many tiles the columns of a row are cut into. */
const LINE = 16;
const COLUMN_TILES = 16;

export const embedDwLowering: Lowering = {
  lower: ({ inputs: [base, tokens, dx], outputs: [dw] }, at) => {
    const [size, width] = [elementCount(dw!.shape), columns(dw!)];
    const perTile = LINE * tileCount(width, LINE * COLUMN_TILES);
    const args = [at.of(tokens), at.of(dx), at.of(dw), rows(dx!), width, perTile];
    const add: KernelCall = { kernel: 'embed_dw', tiles: tileCount(width, perTile), args };
    if (at.of(base) === at.of(dw)) return [add];
    const start = [at.of(base), at.of(dw), size, TILE_NUMBERS];
    return [{ kernel: 'embed_dw_start', tiles: tileCount(size, TILE_NUMBERS), args: start }, add];
  },
};
