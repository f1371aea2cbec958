import { columnSum } from '#src/program/ops/column_sum.js';
import { activations, columns, type OpTable, opCase, sumTolerance, zerosLike } from './cases.js';

type Base = 'no base' | 'base' | 'base in place';

function columnSumCase(shape: readonly number[], base: Base, offset = 0) {
  const count = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  return opCase({
    op: 'column_sum',
    label: `${shape.join(' x ')}, ${base}${offset ? `, about ${offset}` : ''}`,
    inputs: (random) => {
      const x = activations(random, shape, 1 / Math.sqrt(count));
      return {
        base: activations(random, [shape.at(-1)!]),
        x: { ...x, data: (x.data as Float32Array).map((value) => value + offset) },
      };
    },
    build: (b, { base: value, x }) => {
      const early = base === 'base in place' ? columnSum(b, x, value) : value;
      columnSum(b, x, base === 'no base' ? null : early);
    },
    tolerance: sumTolerance(count),
  });
}

const BASES: Base[] = ['no base', 'base', 'base in place'];

const sweep = [1, 3, 5, 13, 300].flatMap((height, i) =>
  [1, 3, 8, 43, 64, 172].map((width, j) => columnSumCase([height, width], BASES[(i + j) % BASES.length]!)),
);

export const column_sum: OpTable = {
  references: {
    column_sum: ({ inputs: [base, x], outputs: [out] }) => {
      const y = base ? base.data.slice() : zerosLike(out!);
      x!.data.forEach((value, i) => {
        y[i % columns(x!)]! += value;
      });
      return [y];
    },
  },
  cases: [
    ...sweep,
    columnSumCase([2, 3, 43], 'base'),
    columnSumCase([2049, 43], 'no base'),
    // More rows than parts hold at one tile each, and more columns than one tile adds up.
    columnSumCase([20011, 37], 'base in place'),
    columnSumCase([70, 2051], 'base'),
    columnSumCase([70, 2051], 'no base', 100),
  ],
};
