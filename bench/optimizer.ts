import { accumulate, adamw, fold, sumOfSquares } from '#src/program/ops/optimizer.js';
import type { OpBench, Sizes } from './measure.js';

/** On the largest factor of the student: [rank, intermediate]. */
export function optimizerBenches({ rank, intermediate }: Sizes): OpBench[] {
  const shape = [rank, intermediate];
  return [
    {
      label: `accumulate ${rank} x ${intermediate}`,
      build: (b) => {
        const total = b.value('gradient', 'total', shape);
        accumulate(b, total, b.value('input', 'gradient', shape), b.value('state', 'squares', [1]), 0);
      },
    },
    {
      label: `fold ${rank} x ${intermediate}`,
      build: (b) => fold(b, b.value('gradient', 'total', shape), b.value('gradient', 'part', shape)),
    },
    {
      label: `sum_of_squares ${rank} x ${intermediate}`,
      build: (b) => sumOfSquares(b, b.value('input', 'x', shape), b.value('state', 'squares', [1]), 0),
    },
    {
      label: `adamw ${rank} x ${intermediate}`,
      build: (b) => {
        const target = {
          parameter: b.value('parameter', 'p', shape),
          gradient: b.value('gradient', 'g', shape),
          m: b.value('state', 'm', shape),
          v: b.value('state', 'v', shape),
        };
        const scalar = (name: string) => b.value('scalar', name, [1]);
        const scalars = {
          step: scalar('step'),
          learningRate: scalar('lr'),
          scale: scalar('scale'),
          clip: scalar('clip'),
        };
        const options = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };
        adamw(b, target, b.value('state', 'squares', [1]), scalars, options);
      },
    },
  ];
}
