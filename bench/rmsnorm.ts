import { rmsnorm, rmsnormDw, rmsnormDx } from '#src/program/ops/rmsnorm.js';
import type { OpBench, Sizes } from './measure.js';

const weightGradient = (tokens: number, columns: number, width: number): OpBench => ({
  label: `rmsnorm_dw ${tokens} x ${columns}${width === columns ? '' : ` in groups of ${width}`}`,
  build: (b) => {
    const [dy, x] = [b.value('input', 'dy', [tokens, columns]), b.value('input', 'x', [tokens, columns])];
    rmsnormDw(b, dy, x, b.value('input', 'rstd', [(tokens * columns) / width]), null);
  },
});

export function rmsnormBenches({ tokens, hidden, heads, headDim }: Sizes): OpBench[] {
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
    weightGradient(tokens, hidden, hidden),
    weightGradient(tokens, heads * headDim, headDim),
  ];
}
