import { elementCount, type Value } from '../../../program/types.js';
import { type Addresses, type KernelCall, type Lowering, tileCount } from './lowering.js';
import { TILE_NUMBERS } from './tiles.js';

const tilesOf = (value: Value): number => tileCount(elementCount(value.shape), TILE_NUMBERS);

/** One f64 for each tile of a sum over `value`. */
const partialsBytes = (value: Value): number => 8 * tilesOf(value);

/** Adds up what the tiles of a sum over `value` left in the workspace, into squares[index]. */
const sumPartials = (value: Value, squares: Value, index: number, at: Addresses): KernelCall => ({
  kernel: 'sum_partials',
  tiles: 1,
  args: [at.workspace, tilesOf(value), at.of(squares) + 4 * index],
});

export const accumulateLowering: Lowering = {
  lower: ({ inputs: [total, gradient], outputs: [, squares], attributes: { index } }, at) => {
    const args = [at.of(total), at.of(gradient), at.workspace, elementCount(total!.shape), TILE_NUMBERS];
    return [
      { kernel: 'accumulate', tiles: tilesOf(total!), args },
      sumPartials(total!, squares!, index!, at),
    ];
  },
  workspaceBytes: ({ inputs: [total] }) => partialsBytes(total!),
};

export const foldLowering: Lowering = {
  lower: ({ inputs: [total, part] }, at) => {
    const args = [at.of(total), at.of(part), elementCount(total!.shape), TILE_NUMBERS];
    return [{ kernel: 'fold', tiles: tilesOf(total!), args }];
  },
};

export const sumOfSquaresLowering: Lowering = {
  lower: ({ inputs: [x], outputs: [squares], attributes: { index } }, at) => {
    const args = [at.of(x), at.workspace, elementCount(x!.shape), TILE_NUMBERS];
    return [{ kernel: 'sum_of_squares', tiles: tilesOf(x!), args }, sumPartials(x!, squares!, index!, at)];
  },
  workspaceBytes: ({ inputs: [x] }) => partialsBytes(x!),
};

export const adamwLowering: Lowering = {
  lower: ({ inputs, attributes: { beta1, beta2, eps, weightDecay } }, at) => {
    const [parameter, gradient, m, v, squares, ...scalars] = inputs;
    const size = elementCount(parameter!.shape);
    const args = [
      ...[parameter, gradient, m, v, squares].map((value) => at.of(value)),
      elementCount(squares!.shape),
      ...scalars.map((scalar) => at.of(scalar)),
      size,
      TILE_NUMBERS,
      beta1!,
      beta2!,
      eps!,
      weightDecay!,
    ];
    return [{ kernel: 'adamw', tiles: tilesOf(parameter!), args }];
  },
};
