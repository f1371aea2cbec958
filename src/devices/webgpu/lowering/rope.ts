import { columns, elementCount } from '../../../program/types.js';
import { elementGrid } from './grid.js';
import { f32Word, floatType, type Lowering, operand } from './lowering.js';

export const ropeLowering: Lowering = {
  lower: ({ inputs: [x, positions, table], outputs: [y], attributes: { direction } }, at) => {
    const pairs = elementCount(y!.shape) / 2;
    const out = at.of(y!);
    const source = operand(at.of(x!), out);
    return [
      {
        file: 'rope',
        entry: 'rope',
        types: { X: floatType(x, at), Y: floatType(y, at) },
        constants: {},
        shape: [pairs, columns(x!), columns(table!) / 2, f32Word(direction!), source.code],
        bindings: [source.binding, at.of(positions!), at.of(table!), out],
        groups: elementGrid(pairs, at),
      },
    ];
  },
};
