import { type Call, elementCount, type Value } from '../../../program/types.js';
import { partsOf, sumParts } from './column_sum.js';
import { type Lowering, tileCount } from './lowering.js';
import { rowsPerTile } from './tiles.js';

/** What is normalised together is a row to the kernels: rstd has one number for each. */
function shapeOf(x: Value, rstd: Value) {
  const height = elementCount(rstd.shape);
  const width = elementCount(x.shape) / height;
  const perTile = rowsPerTile(width);
  return { height, width, perTile, tiles: tileCount(height, perTile) };
}

export const rmsnormLowering: Lowering = {
  lower: ({ inputs: [x, weight], outputs: [y, rstd], attributes: { eps } }, at) => {
    const { height, width, perTile, tiles } = shapeOf(x!, rstd!);
    const args = [at.of(x), at.of(weight), at.of(y), at.of(rstd), height, width, perTile, eps!];
    return [{ kernel: 'rmsnorm', tiles, args }];
  },
};

export const rmsnormDxLowering: Lowering = {
  lower: ({ inputs, outputs: [dx] }, at) => {
    const { height, width, perTile, tiles } = shapeOf(dx!, inputs[4]!);
    const args = [...inputs.map((input) => at.of(input)), at.of(dx), height, width, perTile];
    return [{ kernel: 'rmsnorm_dx', tiles, args }];
  },
};

const dwParts = ({ inputs: [, , x, rstd] }: Call) => {
  const { height, width } = shapeOf(x!, rstd!);
  return { height, width, ...partsOf(height, width) };
};

export const rmsnormDwLowering: Lowering = {
  lower: (call, at) => {
    const [base, dy, x, rstd] = call.inputs;
    const { height, width, perTile, parts } = dwParts(call);
    const args = [at.of(dy), at.of(x), at.of(rstd), at.workspace, height, width, perTile];
    return [{ kernel: 'rmsnorm_dw', tiles: parts, args }, sumParts(base, call.outputs[0]!, parts, at)];
  },
  workspaceBytes: (call) => dwParts(call).bytes,
};
