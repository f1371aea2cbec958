import { columns, rows } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

export const rmsnormLowering: Lowering = {
  lower: ({ inputs: [x, weight], outputs: [y, rstd], attributes: { eps } }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const perTile = rowsPerTile(width);
    const args = [at.of(x), at.of(weight), at.of(y), at.of(rstd), height, width, perTile, eps!];
    return [{ kernel: 'rmsnorm', tiles: tileCount(height, perTile), args }];
  },
};

export const rmsnormDxLowering: Lowering = {
  lower: ({ inputs, outputs: [dx] }, at) => {
    const [height, width] = [rows(dx!), columns(dx!)];
    const perTile = rowsPerTile(width);
    const args = [...inputs.map((input) => at.of(input)), at.of(dx), height, width, perTile];
    return [{ kernel: 'rmsnorm_dx', tiles: tileCount(height, perTile), args }];
  },
};
