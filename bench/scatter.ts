import { scatter } from '#src/program/ops/scatter.js';
import type { OpBench, Sizes } from './measure.js';

export function scatterBenches({ tokens, keyValueHeads, headDim }: Sizes): OpBench[] {
  const width = keyValueHeads * headDim;
  return [
    {
      label: `scatter ${tokens} x ${width}`,
      build: (b) => {
        const places = b.value('input', 'places', [tokens], 'u32');
        scatter(b, b.value('input', 'x', [tokens, width]), places, b.value('state', 'kept', [tokens, width]));
      },
    },
  ];
}
