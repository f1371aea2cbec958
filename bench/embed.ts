import { embed, embedDw } from '#src/program/ops/embed.js';
import type { OpBench, Sizes } from './measure.js';

export function embedBenches({ tokens, hidden, vocabulary }: Sizes): OpBench[] {
  const shape = `${tokens} of ${vocabulary} x ${hidden}`;
  return [
    {
      label: `embed ${shape}`,
      build: (b) => {
        embed(
          b,
          b.value('input', 'tokens', [tokens], 'u32'),
          b.value('weight', 'table', [vocabulary, hidden]),
        );
      },
    },
    {
      label: `embed_dw ${shape}`,
      build: (b) => {
        const ids = b.value('input', 'tokens', [tokens], 'u32');
        embedDw(b, ids, b.value('input', 'dx', [tokens, hidden]), vocabulary, null);
      },
    },
  ];
}
