import { columns, rows } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

export const ropeLowering: Lowering = {
  lower: ({ inputs: [x, positions, table], outputs: [y], attributes: { direction } }, at) => {
    const headDim = columns(table!);
    const perTile = rowsPerTile(columns(x!));
    const sizes = [rows(x!), columns(x!) / headDim, headDim / 2, perTile];
    const args = [at.of(x), at.of(positions), at.of(table), at.of(y), ...sizes, direction!];
    return [{ kernel: 'rope', tiles: tileCount(rows(x!), perTile), args }];
  },
};
