import { add } from '#src/program/ops/add.js';
import type { OpBench, Sizes } from './measure.js';

export function addBenches({ tokens, hidden }: Sizes): OpBench[] {
  const shape = [tokens, hidden];
  return [
    {
      label: `add ${tokens} x ${hidden}`,
      build: (b) => {
        add(b, b.value('input', 'x', shape), b.value('input', 'z', shape));
      },
    },
  ];
}
