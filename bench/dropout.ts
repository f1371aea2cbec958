import { dropout } from '#src/program/ops/dropout.js';
import type { OpBench, Sizes } from './measure.js';

export function dropoutBenches({ tokens, hidden }: Sizes): OpBench[] {
  return [
    {
      label: `dropout ${tokens} x ${hidden}`,
      build: (b) => {
        const key = {
          seedStep: b.value('scalar', 'seed_step', [2], 'u32'),
          place: b.value('input', 'place', [tokens], 'u32'),
        };
        dropout(b, b.value('input', 'x', [tokens, hidden]), key, 0.1, 0);
      },
    },
  ];
}
