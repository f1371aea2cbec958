import { columns, elementCount } from '../../../program/types.js';
import { elementGrid } from './grid.js';
import { floatType, type Lowering } from './lowering.js';

export const scatterLowering: Lowering = {
  lower: ({ inputs: [x, places], outputs: [target] }, at) => [
    {
      file: 'scatter',
      entry: 'scatter',
      types: { X: floatType(x, at) },
      constants: {},
      shape: [elementCount(x!.shape), columns(x!)],
      bindings: [at.of(x!), at.of(places!), at.of(target!)],
      groups: elementGrid(elementCount(x!.shape), at),
    },
  ],
};
