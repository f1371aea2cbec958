import { type AttentionShape, attention as attend } from '#src/program/ops/attention.js';
import type { Value } from '#src/program/types.js';
import {
  activations,
  type Input,
  integers,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  type Tensor,
  zerosLike,
} from './cases.js';

/** Softmax of the scores of each query over the keys of its document, from `lse` where it is known. */
function* queries(q: Tensor, k: Tensor, positions: Tensor, shape: AttentionShape, lse?: Float64Array) {
  const { heads, keyValueHeads, headDim } = shape;
  for (let t = 0; t < positions.data.length; t++) {
    for (let head = 0; head < heads; head++) {
      const group = Math.floor((head * keyValueHeads) / heads);
      const first = t - positions.data[t]!;
      const keyRows = Array.from(
        { length: t - first + 1 },
        (_, i) => ((first + i) * keyValueHeads + group) * headDim,
      );
      const queryRow = (t * heads + head) * headDim;
      const scores = keyRows.map((row) => dot(q, queryRow, k, row, headDim) / Math.sqrt(headDim));
      const largest = Math.max(...scores);
      const logSum = largest + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - largest), 0));
      const normaliser = lse?.[t * heads + head] ?? logSum;
      yield {
        index: t * heads + head,
        queryRow,
        keyRows,
        normaliser,
        p: scores.map((s) => Math.exp(s - normaliser)),
      };
    }
  }
}

/** The product of `length` elements of two tensors, from elements i and j on. */
export function dot(a: Tensor, i: number, b: Tensor, j: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += a.data[i + d]! * b.data[j + d]!;
  return sum;
}

const shapeOf = (attributes: Readonly<Record<string, number>>) => attributes as unknown as AttentionShape;

const forward: Reference = ({ inputs, outputs: [o, lse], attributes }) => {
  const [q, k, v, positions] = inputs as [Tensor, Tensor, Tensor, Tensor];
  const [output, logSums] = [zerosLike(o!), zerosLike(lse!)];
  for (const { index, queryRow, keyRows, normaliser, p } of queries(q, k, positions, shapeOf(attributes))) {
    logSums[index] = normaliser;
    keyRows.forEach((row, i) => {
      for (let d = 0; d < attributes.headDim!; d++) output[queryRow + d]! += p[i]! * v.data[row + d]!;
    });
  }
  return [output, logSums];
};

/** P = e^(s - lse), dS = P (dO v^T - rowsum(dO o)), dq = dS k / sqrt(headDim), dk = dS^T q / sqrt(headDim), dv = P^T dO. */
const backward: Reference = ({ inputs, attributes }) => {
  const [q, k, v, positions, o, lse, dO] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  const [dq, dk, dv] = [zerosLike(q), zerosLike(k), zerosLike(v)];
  const headDim = attributes.headDim!;
  for (const { queryRow, keyRows, p } of queries(q, k, positions, shapeOf(attributes), lse.data)) {
    const mean = dot(dO, queryRow, o, queryRow, headDim);
    keyRows.forEach((row, i) => {
      const ds = (p[i]! * (dot(dO, queryRow, v, row, headDim) - mean)) / Math.sqrt(headDim);
      for (let d = 0; d < headDim; d++) {
        dq[queryRow + d]! += ds * k.data[row + d]!;
        dk[row + d]! += ds * q.data[queryRow + d]!;
        dv[row + d]! += p[i]! * dO.data[queryRow + d]!;
      }
    });
  }
  return [dq, dk, dv];
};

interface Options {
  readonly shape: AttentionShape;
  readonly batch: number;
  /** How rows are cut into documents, as "33 | 7+26" for two rows; a row repeats its last length until it is full. */
  readonly documents?: string;
  /** Standard deviation of q and k, which are then multiples of 1/16; 12 gives scores of +-80 at headDim 16. */
  readonly deviation?: number;
}

function places({ shape: { sequence }, batch, documents }: Options): number[] {
  const cuts = (documents ?? `${sequence}`).split(' | ').map((lengths) => lengths.split('+').map(Number));
  return Array.from({ length: batch }, (_, row) => {
    const lengths = cuts[row % cuts.length]!;
    const positions: number[] = [];
    for (let i = 0; positions.length < sequence; i++)
      positions.push(...Array(lengths[i] ?? lengths.at(-1)!).keys());
    return positions.slice(0, sequence);
  }).flat();
}

/** Large scores would show that f16 rounds what they are made of. */
const coarse = (input: Input): Input => ({
  ...input,
  data: Float32Array.from(input.data, (x) => Math.round(16 * x) / 16),
});

function operands(random: Random, options: Options) {
  const { shape, batch, deviation = 1 } = options;
  const tokens = shape.sequence * batch;
  const positions = places(options);
  const scoreFactor = (heads: number): Input => {
    const input = activations(random, [tokens, heads * shape.headDim], deviation);
    return deviation === 1 ? input : coarse(input);
  };
  return {
    q: scoreFactor(shape.heads),
    k: scoreFactor(shape.keyValueHeads),
    v: activations(random, [tokens, shape.keyValueHeads * shape.headDim]),
    positions: integers('input', [tokens], (i) => positions[i]!, 'u32'),
  };
}

function describe({ shape, batch, documents, deviation = 1 }: Options): string {
  const { sequence, heads, keyValueHeads, headDim } = shape;
  const segments = documents ? `, documents ${documents}` : '';
  const large = deviation === 1 ? '' : `, q and k about ${deviation}`;
  return `${batch} x ${sequence}, ${heads}/${keyValueHeads} heads of ${headDim}${segments}${large}`;
}

function tolerance({ deviation = 1 }: Options) {
  const scores = deviation ** 2;
  return {
    absolute: 5e-6 * scores,
    relative: 5e-6,
    reason: 'scores have an f32 error of about 1e-7 times their size, which the exponential makes relative',
  };
}

const forwardCase = (options: Options) =>
  opCase({
    op: 'attention',
    label: describe(options),
    inputs: (random) => operands(random, options),
    build: (b, { q, k, v, positions }) => attend(b, { q, k, v }, positions, options.shape),
    tolerance: tolerance(options),
  });

/** o and lse are those of the forward pass, as f32. */
function backwardCase(options: Options) {
  return opCase({
    op: 'attention_dx',
    label: describe(options),
    inputs: (random) => {
      const inputs = operands(random, options);
      const { heads } = options.shape;
      const { q, k, v, positions } = inputs;
      const tensors = [q, k, v, positions].map(({ shape, data }) => ({
        shape,
        data: Float64Array.from(data),
      }));
      const outputs = [q.shape, [q.shape[0]!, heads]].map((shape) => ({
        shape,
        data: new Float64Array(shape[0]! * shape[1]!),
      }));
      const [o, lse] = forward({ inputs: tensors, outputs, attributes: { ...options.shape } });
      return {
        ...inputs,
        o: { ...q, data: Float32Array.from(o!) },
        lse: { ...q, shape: outputs[1]!.shape, data: Float32Array.from(lse!) },
        dO: activations(random, q.shape),
      };
    },
    build: (b, values) => {
      const { q, k, v, positions, o, lse, dO } = values;
      const outputs = [q, k, v].map((x: Value, i) => b.activation(`d_${'qkv'[i]}`, x.shape));
      b.call('attention_dx', [q, k, v, positions, o, lse, dO], outputs, { ...options.shape });
    },
    tolerance: tolerance(options),
  });
}

const shape = (sequence: number, heads: number, keyValueHeads: number, headDim: number): AttentionShape => ({
  sequence,
  heads,
  keyValueHeads,
  headDim,
});

const HEADS = [
  [2, 2],
  [6, 3],
  [8, 2],
] as const;

/** Every head size with every length, heads in turn; the second row is two documents where it can be. */
const sweep = [4, 8, 16, 48, 64, 96].flatMap((headDim, i) =>
  [1, 5, 33, 128].map((sequence, j): Options => {
    const [heads, keyValueHeads] = HEADS[(i + j) % HEADS.length]!;
    const first = Math.ceil(sequence / 3);
    const documents = sequence > 1 ? `${sequence} | ${first}+${sequence - first}` : '1';
    return { shape: shape(sequence, heads, keyValueHeads, headDim), batch: 2, documents };
  }),
);

const options: Options[] = [
  ...sweep,
  { shape: shape(1, 1, 1, 4), batch: 1 },
  { shape: shape(1, 6, 3, 8), batch: 7 },
  { shape: shape(5, 1, 1, 4), batch: 3 },
  { shape: shape(5, 2, 1, 6), batch: 2, documents: '1 | 2+3' },
  { shape: shape(33, 6, 3, 16), batch: 3, documents: '33 | 7+1+25 | 32+1' },
  { shape: shape(33, 3, 3, 48), batch: 2, documents: '1+32 | 16+17' },
  { shape: shape(33, 4, 2, 16), batch: 2, documents: '33 | 20+13', deviation: 12 },
  { shape: shape(37, 2, 2, 96), batch: 2 },
  { shape: shape(128, 8, 2, 64), batch: 2, documents: '128 | 1+2+3+4+5' },
  { shape: shape(128, 4, 4, 8), batch: 3, documents: '64+64 | 127+1 | 1+127' },
  { shape: shape(131, 2, 1, 64), batch: 2, documents: '131 | 65+66' },
  { shape: shape(70, 8, 1, 80), batch: 2, documents: '70 | 1+40+29' },
  { shape: shape(133, 4, 2, 128), batch: 2, documents: '133 | 30+80+23' },
  { shape: shape(37, 2, 1, 160), batch: 1, documents: '20+17' },
  { shape: shape(67, 2, 2, 256), batch: 1, documents: '9+58' },
  { shape: shape(640, 4, 1, 64), batch: 1, documents: '70+400+170' },
];

/** Heads whose sums of two results don't fit into registers beside each other, in rows of whole tiles of matrices. */
export const wideCase = backwardCase({ shape: shape(128, 2, 1, 128), batch: 1, documents: '50+78' });

const LONG: Options = { shape: shape(8192, 2, 1, 64), batch: 1, documents: '5000+3192' };

/** The longest rows, which take minutes (tests/campaign). */
export const longCases = [forwardCase(LONG), backwardCase(LONG)];

export const attention: OpTable = {
  references: { attention: forward, attention_dx: backward },
  cases: [...options.map(forwardCase), ...options.map(backwardCase)],
};
