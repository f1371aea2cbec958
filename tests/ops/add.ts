import { add as sum } from '#src/program/ops/add.js';
import { activations, type OpTable, opCase, type Tensor } from './cases.js';

type Variant = '' | ', twice the same' | ', first in place' | ', second in place';

const addCase = (shape: readonly number[], variant: Variant = '') =>
  opCase({
    op: 'add',
    label: `${shape.join(' x ')}${variant}`,
    inputs: (random) => ({ x: activations(random, shape), z: activations(random, shape, 1e3) }),
    build: (b, { x, z }) => {
      const early = variant ? sum(b, x, z) : z;
      if (variant === ', twice the same') sum(b, early, early);
      else if (variant === ', first in place') sum(b, early, x);
      else sum(b, x, early);
    },
    tolerance: {
      absolute: variant ? 2 ** -12 : 0,
      relative: 2 ** -23,
      reason: 'one rounding, and before it that of a sum of up to 4000 where there are two',
    },
  });

export const add: OpTable = {
  references: {
    add: ({ inputs }) => {
      const [x, z] = inputs as [Tensor, Tensor];
      return [x.data.map((value, i) => value + z.data[i]!)];
    },
  },
  cases: [
    addCase([1]),
    addCase([3, 1]),
    addCase([7, 43]),
    addCase([2, 3, 8], ', first in place'),
    addCase([13, 172], ', second in place'),
    addCase([5, 9], ', twice the same'),
    addCase([300, 288]),
    addCase([301, 601]),
  ],
};
