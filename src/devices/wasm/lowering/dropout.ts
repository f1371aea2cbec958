import { columns, rows } from '../../../program/types.js';
import { type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

export const dropoutLowering: Lowering = {
  lower: ({ inputs: [x, seedStep, place], outputs: [y], attributes: { p, site } }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const perTile = rowsPerTile(width);
    const constants = [site!, Math.floor(p! * 2 ** 32), 1 / (1 - p!)];
    const args = [at.of(x), at.of(seedStep), at.of(place), at.of(y), height, width, perTile, ...constants];
    return [{ kernel: 'dropout', tiles: tileCount(height, perTile), args }];
  },
};
