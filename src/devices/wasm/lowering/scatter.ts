import { columns, rows } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

export const scatterLowering: Lowering = {
  lower: ({ inputs: [x, places], outputs: [target] }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const perTile = rowsPerTile(width);
    const args = [at.of(x), at.of(places), at.of(target), height, width, perTile];
    return [{ kernel: 'scatter', tiles: tileCount(height, perTile), args }];
  },
};
