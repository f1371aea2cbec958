import { columnSum } from '#src/program/ops/column_sum.js';
import type { OpBench, Sizes } from './measure.js';

export function columnSumBenches({ tokens, hidden }: Sizes): OpBench[] {
  return [
    {
      label: `column_sum ${tokens} x ${hidden}`,
      build: (b) => {
        columnSum(b, b.value('input', 'x', [tokens, hidden]), null);
      },
    },
  ];
}
