import type { Builder } from '#src/program/builder.js';
import { attention } from '#src/program/ops/attention.js';
import type { OpBench, Sizes } from './measure.js';

export function attentionBenches(sizes: Sizes): OpBench[] {
  const { tokens, sequence, heads, keyValueHeads, headDim } = sizes;
  const shape = { sequence, heads, keyValueHeads, headDim };
  const [wide, narrow] = [
    [tokens, heads * headDim],
    [tokens, keyValueHeads * headDim],
  ] as const;
  const operands = (b: Builder) => ({
    q: b.value('input', 'q', wide),
    k: b.value('input', 'k', narrow),
    v: b.value('input', 'v', narrow),
    positions: b.value('input', 'positions', [tokens], 'u32'),
  });
  const size = `${tokens / sequence} x ${sequence} x ${heads}/${keyValueHeads} x ${headDim}`;
  return [
    {
      label: `attention ${size}`,
      build: (b) => {
        const { positions, ...qkv } = operands(b);
        attention(b, qkv, positions, shape);
      },
    },
    {
      label: `attention_dx ${size}`,
      build: (b) => {
        const { q, k, v, positions } = operands(b);
        const o = b.value('input', 'o', wide);
        const inputs = [
          q,
          k,
          v,
          positions,
          o,
          b.value('input', 'lse', [tokens, heads]),
          b.value('input', 'dO', wide),
        ];
        const outputs = [b.activation('dq', wide), b.activation('dk', narrow), b.activation('dv', narrow)];
        b.call('attention_dx', inputs, outputs, shape);
      },
    },
  ];
}
