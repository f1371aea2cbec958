import { embed } from '#src/program/ops/embed.js';
import type { OpBench, Sizes } from './measure.js';

export function embedBenches({ tokens, hidden, vocabulary }: Sizes): OpBench[] {
  return [
    {
      label: `embed ${tokens} of ${vocabulary} x ${hidden}`,
      build: (b) => {
        embed(
          b,
          b.value('input', 'tokens', [tokens], 'u32'),
          b.value('weight', 'table', [vocabulary, hidden]),
        );
      },
    },
  ];
}
