import { embed as embedTokens } from '#src/program/ops/embed.js';
import type { DType } from '#src/program/types.js';
import { columns, EXACT, integers, type OpTable, opCase, type Tensor, weights, zerosLike } from './cases.js';

const embedCase = (tokens: number, vocabulary: number, width: number, dtype: DType) =>
  opCase({
    op: 'embed',
    label: `${tokens} of ${vocabulary} x ${width} ${dtype}`,
    inputs: (random) => ({
      // The last token of the vocabulary is always among them.
      tokens: integers(
        'input',
        [tokens],
        (i) => (i === 0 ? vocabulary - 1 : random.integer(vocabulary)),
        'u32',
      ),
      weight: weights(random, [vocabulary, width], dtype, 1),
    }),
    build: (b, { tokens, weight }) => embedTokens(b, tokens, weight),
    tolerance: EXACT,
  });

export const embed: OpTable = {
  references: {
    embed: ({ inputs, outputs: [x] }) => {
      const [tokens, weight] = inputs as [Tensor, Tensor];
      const y = zerosLike(x!);
      const width = columns(weight);
      tokens.data.forEach((token, t) => {
        for (let j = 0; j < width; j++) y[t * width + j] = weight.data[token * width + j]!;
      });
      return [y];
    },
  },
  cases: [
    embedCase(1, 1, 1, 'f32'),
    embedCase(5, 7, 3, 'f32'),
    embedCase(13, 211, 43, 'f32'),
    embedCase(300, 512, 64, 'f32'),
    embedCase(7, 11, 5, 'bf16'),
    embedCase(70, 512, 172, 'bf16'),
    embedCase(6, 11, 9, 'f16'),
    embedCase(300, 97, 288, 'f16'),
  ],
};
