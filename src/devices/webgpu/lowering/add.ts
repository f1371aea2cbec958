import { elementCount } from '../../../program/types.js';
import { elementGrid } from './grid.js';
import { floatType, type Lowering, operand } from './lowering.js';

export const addLowering: Lowering = {
  lower: ({ inputs: [x, z], outputs: [y] }, at) => {
    const size = elementCount(y!.shape);
    const out = at.of(y!);
    const [one, two] = [operand(at.of(x!), out), operand(at.of(z!), out)];
    return [
      {
        file: 'add',
        entry: 'add',
        types: { X: floatType(x, at), Z: floatType(z, at), Y: floatType(y, at) },
        constants: {},
        shape: [size, one.code, two.code],
        bindings: [one.binding, two.binding, out],
        groups: elementGrid(size, at),
      },
    ];
  },
};
