import { columns, rows } from '../../../program/types.js';
import { rowGrid } from './grid.js';
import { f32Word, floatType, type Lowering, operand } from './lowering.js';

export const dropoutLowering: Lowering = {
  lower: ({ inputs: [x, seedStep, place], outputs: [y], attributes }, at) => {
    const { p, site } = attributes as { p: number; site: number };
    const out = at.of(y!);
    const source = operand(at.of(x!), out);
    const mask = [site, Math.floor(p * 2 ** 32), f32Word(1 / (1 - p))];
    return [
      {
        file: 'dropout',
        entry: 'dropout',
        types: { X: floatType(x, at), Y: floatType(y, at) },
        constants: {},
        shape: [rows(x!), columns(x!), ...mask, source.code],
        bindings: [source.binding, at.of(seedStep!), at.of(place!), out],
        groups: rowGrid(rows(x!), at),
      },
    ];
  },
};
