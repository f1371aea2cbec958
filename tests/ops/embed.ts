import { embedDw, embed as embedTokens } from '#src/program/ops/embed.js';
import type { DType } from '#src/program/types.js';
import {
  activations,
  columns,
  EXACT,
  integers,
  type OpTable,
  opCase,
  type Random,
  sumTolerance,
  type Tensor,
  weights,
  zerosLike,
} from './cases.js';

/** Random tokens, and always the last one of the vocabulary among them. */
const randomTokens = (random: Random, count: number, vocabulary: number) =>
  integers('input', [count], (i) => (i === 0 ? vocabulary - 1 : random.integer(vocabulary)), 'u32');

const embedCase = (tokens: number, vocabulary: number, width: number, dtype: DType) =>
  opCase({
    op: 'embed',
    label: `${tokens} of ${vocabulary} x ${width} ${dtype}`,
    inputs: (random) => ({
      tokens: randomTokens(random, tokens, vocabulary),
      weight: weights(random, [vocabulary, width], dtype, 1),
    }),
    build: (b, { tokens, weight }) => embedTokens(b, tokens, weight),
    tolerance: EXACT,
  });

type Base = 'no base' | 'base' | 'base in place';

function gradientCase(tokens: number, vocabulary: number, width: number, base: Base) {
  const repeats = Math.ceil(tokens / vocabulary);
  return opCase({
    op: 'embed_dw',
    label: `${tokens} of ${vocabulary} x ${width}, ${base}`,
    inputs: (random) => ({
      base: activations(random, [vocabulary, width]),
      tokens: randomTokens(random, tokens, vocabulary),
      dx: activations(random, [tokens, width], 1 / Math.sqrt(repeats)),
    }),
    build: (b, { base: value, tokens: ids, dx }) => {
      const early = base === 'base in place' ? embedDw(b, ids, dx, vocabulary, value) : value;
      embedDw(b, ids, dx, vocabulary, base === 'no base' ? null : early);
    },
    // A token may come up a few times more often than the mean.
    tolerance: sumTolerance(4 * repeats),
  });
}

const BASES: Base[] = ['no base', 'base', 'base in place'];

const gradients = [1, 3, 8, 43, 172].flatMap((width, i) =>
  [
    [1, 5],
    [13, 7],
    [300, 211],
  ].map(([tokens, vocabulary], j) => gradientCase(tokens!, vocabulary!, width, BASES[(i + j) % 3]!)),
);

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
    embed_dw: ({ inputs: [base, tokens, dx], outputs: [out] }) => {
      const dw = base ? base.data.slice() : zerosLike(out!);
      const width = columns(dx!);
      tokens!.data.forEach((token, t) => {
        for (let j = 0; j < width; j++) dw[token * width + j]! += dx!.data[t * width + j]!;
      });
      return [dw];
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
    ...gradients,
    gradientCase(5, 1, 1, 'base'),
    gradientCase(1030, 3, 9, 'no base'),
    gradientCase(70, 211, 600, 'base'),
    gradientCase(70, 211, 600, 'no base'),
    gradientCase(13, 3001, 43, 'no base'),
    gradientCase(300, 1100, 64, 'base'),
  ],
};
