import { columns, rows } from '../../../program/types.js';
import { dtypeCode, type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

export const embedLowering: Lowering = {
  lower: ({ inputs: [tokens, weight], outputs: [x] }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const perTile = rowsPerTile(width);
    const args = [at.of(tokens), at.of(weight), at.of(x), dtypeCode(weight), height, width, perTile];
    return [{ kernel: 'embed', tiles: tileCount(height, perTile), args }];
  },
};
