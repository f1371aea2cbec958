import { rope } from '#src/program/ops/rope.js';
import type { OpBench, Sizes } from './measure.js';

export function ropeBenches({ tokens, sequence, heads, headDim }: Sizes): OpBench[] {
  return [
    {
      label: `rope ${tokens} x ${heads} x ${headDim}`,
      build: (b) => {
        const x = b.value('input', 'x', [tokens, heads * headDim]);
        rope(
          b,
          x,
          b.value('input', 'positions', [tokens], 'u32'),
          b.value('weight', 'table', [sequence, headDim]),
        );
      },
    },
  ];
}
