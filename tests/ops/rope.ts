import { rope as rotate } from '#src/program/ops/rope.js';
import {
  activations,
  columns,
  floats,
  integers,
  type OpTable,
  opCase,
  type Reference,
  type Tensor,
  zerosLike,
} from './cases.js';

const POSITIONS = 160;

const reference: Reference = ({ inputs, outputs: [out], attributes }) => {
  const [x, positions, table] = inputs as [Tensor, Tensor, Tensor];
  const y = zerosLike(out!);
  const [width, headDim] = [columns(x), columns(table)];
  const half = headDim / 2;
  positions.data.forEach((position, t) => {
    for (let head = 0; head < width; head += headDim) {
      for (let j = 0; j < half; j++) {
        const [low, high] = [t * width + head + j, t * width + head + j + half];
        const cos = table.data[position * headDim + j]!;
        const sin = attributes.direction! * table.data[position * headDim + half + j]!;
        y[low] = x.data[low]! * cos - x.data[high]! * sin;
        y[high] = x.data[high]! * cos + x.data[low]! * sin;
      }
    }
  });
  return [y];
};

/** cos and sin of position * 100^(-j / half), as the model's table has them. */
function ropeTable(headDim: number) {
  const half = headDim / 2;
  let i = 0;
  return floats('weight', [POSITIONS, headDim], () => {
    const [position, j] = [Math.floor(i / headDim), i++ % headDim];
    const angle = position * 100 ** (-(j % half) / half);
    return j < half ? Math.cos(angle) : Math.sin(angle);
  });
}

function ropeCase(tokens: number, heads: number, headDim: number, direction: 1 | -1, inPlace = false) {
  return opCase({
    op: 'rope',
    label: `${tokens} x ${heads} heads of ${headDim}, direction ${direction}${inPlace ? ', in place' : ''}`,
    inputs: (random) => ({
      x: activations(random, [tokens, heads * headDim]),
      positions: integers('input', [tokens], () => random.integer(POSITIONS), 'u32'),
      table: ropeTable(headDim),
    }),
    build: (b, { x, positions, table }) => {
      const first = inPlace ? rotate(b, x, positions, table, direction) : x;
      rotate(b, first, positions, table, direction);
    },
    tolerance: { absolute: 5e-7, relative: 5e-7, reason: 'two f32 products of order 1 and their sum' },
  });
}

export const rope: OpTable = {
  references: { rope: reference },
  cases: [
    ropeCase(1, 1, 2, 1),
    ropeCase(5, 3, 2, -1),
    ropeCase(7, 1, 4, 1),
    ropeCase(13, 5, 8, -1),
    ropeCase(6, 6, 48, 1),
    ropeCase(300, 2, 64, 1),
    ropeCase(300, 2, 64, -1, true),
    ropeCase(33, 3, 96, 1, true),
    ropeCase(5, 7, 22, -1),
  ],
};
