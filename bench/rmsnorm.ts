import { rmsnorm, rmsnormDx } from '#src/program/ops/rmsnorm.js';
import type { OpBench, Sizes } from './measure.js';

export function rmsnormBenches({ tokens, hidden }: Sizes): OpBench[] {
  return [
    {
      label: `rmsnorm ${tokens} x ${hidden}`,
      build: (b) => {
        rmsnorm(b, 'y', b.value('input', 'x', [tokens, hidden]), b.value('weight', 'w', [hidden]), 1e-5);
      },
    },
    {
      label: `rmsnorm_dx ${tokens} x ${hidden}`,
      build: (b) => {
        const [dy, x] = [b.value('input', 'dy', [tokens, hidden]), b.value('input', 'x', [tokens, hidden])];
        rmsnormDx(b, dy, x, b.value('weight', 'w', [hidden]), b.value('input', 'rstd', [tokens]), null);
      },
    },
  ];
}
