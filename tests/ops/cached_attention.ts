import type { AttentionShape } from '#src/program/ops/attention.js';
import { cachedAttention } from '#src/program/ops/cached_attention.js';
import { dot } from './attention.js';
import {
  activations,
  type Input,
  integers,
  type OpTable,
  opCase,
  type Reference,
  type Tensor,
  zerosLike,
} from './cases.js';

const reference: Reference = ({ inputs, outputs: [out], attributes }) => {
  const [q, k, v, positions, cached, keys, values] = inputs as Tensor[] as [
    ...[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
  ];
  const { sequence, heads, keyValueHeads, headDim, capacity } = attributes as unknown as AttentionShape & {
    capacity: number;
  };
  const o = zerosLike(out!);
  positions.data.forEach((position, t) => {
    const row = Math.floor(t / sequence);
    const past = cached.data[row]!;
    for (let head = 0; head < heads; head++) {
      const group = Math.floor((head * keyValueHeads) / heads);
      const at = (token: number) => (token * keyValueHeads + group) * headDim;
      const seen = [
        ...Array.from({ length: past }, (_, j) => ({ k: keys, v: values, at: at(row * capacity + j) })),
        ...Array.from({ length: position - past + 1 }, (_, j) => ({ k, v, at: at(t - position + past + j) })),
      ];
      const query = (t * heads + head) * headDim;
      const scores = seen.map((key) => dot(q, query, key.k, key.at, headDim) / Math.sqrt(headDim));
      const largest = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - largest));
      const total = weights.reduce((a, b) => a + b, 0);
      seen.forEach((key, j) => {
        for (let d = 0; d < headDim; d++) o[query + d]! += (weights[j]! / total) * key.v.data[key.at + d]!;
      });
    }
  });
  return [o];
};

interface Options {
  readonly shape: AttentionShape;
  readonly capacity: number;
  /** What is cached of each row. */
  readonly cached: readonly number[];
  /** Lengths of the documents that new tokens of a row are cut into; the last one repeats until it is full. */
  readonly documents?: readonly number[];
}

function places({ shape: { sequence }, cached, documents = [sequence] }: Options): number[] {
  return cached.flatMap((past) => {
    const row: number[] = [];
    for (let i = 0; row.length < sequence; i++) {
      const length = documents[i] ?? documents.at(-1)!;
      row.push(...Array.from({ length }, (_, j) => past + j));
    }
    return row.slice(0, sequence);
  });
}

function cachedCase(options: Options) {
  const { shape, capacity, cached, documents } = options;
  const { sequence, heads, keyValueHeads, headDim } = shape;
  const tokens = sequence * cached.length;
  const positions = places(options);
  const cut = documents ? `, documents ${documents.join('+')}` : '';
  return opCase({
    op: 'cached_attention',
    label: `${sequence} after ${cached.join(' | ')} of ${capacity}, ${heads}/${keyValueHeads} heads of ${headDim}${cut}`,
    inputs: (random) => {
      const held = (): Input => ({
        ...activations(random, [cached.length * capacity, keyValueHeads * headDim]),
        role: 'state',
      });
      return {
        q: activations(random, [tokens, heads * headDim]),
        k: activations(random, [tokens, keyValueHeads * headDim]),
        v: activations(random, [tokens, keyValueHeads * headDim]),
        positions: integers('input', [tokens], (i) => positions[i]!, 'u32'),
        cached: integers('input', [cached.length], (i) => cached[i]!, 'u32'),
        keys: held(),
        values: held(),
      };
    },
    build: (b, { q, k, v, positions: at, cached: counts, keys, values }) =>
      cachedAttention(b, { q, k, v }, at, { keys, values, cached: counts }, shape),
    tolerance: {
      absolute: 5e-6,
      relative: 5e-6,
      reason: 'scores have an f32 error of about 1e-7 times their size, which the exponential makes relative',
    },
  });
}

const shape = (sequence: number, heads: number, keyValueHeads: number, headDim: number): AttentionShape => ({
  ...{ sequence, heads, keyValueHeads, headDim },
});

/** Around the lengths where keys are packed, and blocks of queries and of keys end. */
const sweep = [1, 2, 4, 5, 23, 24, 25, 65].flatMap((sequence, i) =>
  [[0], [1, 0], [7, 8, 70], [63, 129]].map((cached, j) =>
    cachedCase({
      shape: shape(
        sequence,
        [2, 6, 9, 8][(i + j) % 4]!,
        [2, 3, 3, 2][(i + j) % 4]!,
        [4, 16, 43, 64][(2 * i + j) % 4]!,
      ),
      capacity: 130 + j,
      cached,
    }),
  ),
);

export const cached_attention: OpTable = {
  references: { cached_attention: reference },
  cases: [
    ...sweep,
    cachedCase({ shape: shape(1, 1, 1, 4), capacity: 1, cached: [0] }),
    cachedCase({ shape: shape(3, 3, 1, 6), capacity: 5, cached: [5, 0], documents: [1, 2] }),
    cachedCase({ shape: shape(31, 9, 3, 64), capacity: 100, cached: [100, 33], documents: [7, 1, 9] }),
    cachedCase({ shape: shape(130, 4, 2, 32), capacity: 300, cached: [257], documents: [64, 3, 40] }),
    cachedCase({ shape: shape(26, 2, 1, 128), capacity: 40, cached: [13, 40] }),
    cachedCase({ shape: shape(9, 2, 2, 256), capacity: 19, cached: [19] }),
    cachedCase({ shape: shape(1, 8, 2, 128), capacity: 1500, cached: [1500] }),
  ],
};
