import { swiglu } from '#src/program/ops/swiglu.js';
import type { OpBench, Sizes } from './measure.js';

export function swigluBenches({ tokens, intermediate }: Sizes): OpBench[] {
  const shape = [tokens, intermediate];
  return [
    {
      label: `swiglu ${tokens} x ${intermediate}`,
      build: (b) => {
        swiglu(b, b.value('input', 'gate', shape), b.value('input', 'up', shape));
      },
    },
    {
      label: `swiglu_dx ${tokens} x ${intermediate}`,
      build: (b) => {
        const inputs = ['dy', 'gate', 'up'].map((name) => b.value('input', name, shape));
        b.call('swiglu_dx', inputs, [b.activation('d_gate', shape), b.activation('d_up', shape)]);
      },
    },
  ];
}
