import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Adapter } from '#src/formats/adapter.js';
import { float32ToBfloat16 } from '#src/formats/float16.js';
import { type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { type ModelConfig, readModelConfig } from '#src/model/config.js';
import { loraShapes, TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { type ModelFiles, weightShapes } from '#src/model/weights.js';
import { elementCount } from '#src/program/types.js';
import { randomLora, randomWeights } from '#src/training/initialise.js';
import { Random } from '../ops/cases.js';
import type { Batch } from '../training/training.js';

/**
 * Deep and narrow models whose numbers are as large as those of real ones.
 * - fresh: as a family is initialised
 * - trained: channels of different sizes, norms far from 1, a residual stream that grows from block to block
 * - outliers: that, and what trained Llamas do with the first token of a document: a neuron of an early block makes one of
 *   its channels hundreds of times as large as the others ("massive activations", Sun et al. 2024), by which most heads
 *   find it and rest on it ("attention sinks", Xiao et al. 2023); in keys one channel is far from 0 in all tokens
 */
export const STYLES = ['fresh', 'trained', 'outliers'] as const;
export type Style = (typeof STYLES)[number];

const [HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY] = [64, 176, 4, 2, 16, 320];
const BOS = 1;
const RANK = 8;

const CONFIG = {
  model_type: 'llama',
  vocab_size: VOCABULARY,
  hidden_size: HIDDEN,
  intermediate_size: INTERMEDIATE,
  num_attention_heads: HEADS,
  num_key_value_heads: KV_HEADS,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 256,
  tie_word_embeddings: true,
};

/** A Hugging Face folder in bf16. */
export function writeDeepModel(folder: string, layers: number, style: Style, seed: number): ModelFiles {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...CONFIG, num_hidden_layers: layers }));
  const shapes = weightShapes(readModelConfig(folder));
  const fresh = randomWeights(shapes, seed);
  const random = new Random(seed);
  const tensors = new Map<string, TensorData>();
  for (const [name, shape] of shapes) {
    const values = style === 'fresh' ? fresh.get(name)!.data : trainedTensor(name, shape, layers, random);
    if (style === 'outliers') for (const [at, value] of outliersOf(name)) values[at] = value;
    const data = new Uint16Array(values.length);
    float32ToBfloat16(values, data);
    tensors.set(name, { dtype: 'BF16', shape, data });
  }
  writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  return openModelFiles(folder);
}

const filled = (shape: readonly number[], make: (i: number) => number): Float32Array =>
  Float32Array.from({ length: elementCount(shape) }, (_, i) => make(i));

const channelScales = (random: Random, count: number): Float32Array =>
  filled([count], () => Math.exp(0.4 * random.normal()));

function trainedTensor(name: string, shape: readonly number[], layers: number, random: Random): Float32Array {
  const [height, width] = shape as [number, number?];
  const rowScales = channelScales(random, height);
  if (width === undefined) return rowScales.map((scale) => normSize(name, layers) * scale);
  const columnScales = channelScales(random, width);
  const size = matrixSize(name, layers) / Math.sqrt(width);
  return filled(shape, (i) => {
    return size * rowScales[Math.floor(i / width)]! * columnScales[i % width]! * random.normal();
  });
}

const blockOf = (name: string): number => Number(/layers\.(\d+)\./.exec(name)?.[1] ?? -1);

const normSize = (name: string, layers: number): number =>
  blockOf(name) < 0 ? 2 : 0.3 + (0.7 * blockOf(name)) / layers;

/**
 * Standard deviation of W x for x of deviation 1. The first block adds much to the stream, as in SmolLM2, those after it the
 * less the more they are (Radford et al. 2019).
 */
function matrixSize(name: string, layers: number): number {
  if (/[qk]_proj/.test(name)) return 1.2;
  if (!/(o|down)_proj/.test(name)) return 1;
  return blockOf(name) === 0 ? 2 : 2 / Math.sqrt(layers);
}

/** Channels of the residual stream: what tells a first token, what all tokens share, what becomes massive. */
const [FIRST, SHARED, MASSIVE] = [7, 21, 40];
/** The neuron that makes it so, and its block. */
const [NEURON, EARLY] = [11, 1];
/** Pairs of a head's channels that rope hardly turns: one for the first token, one that is far from 0 in all keys. */
const [SINK, OFFSET] = [HEAD_DIM / 2 - 1, HEAD_DIM / 2 - 2];

/** Elements of a tensor that make outliers, by index. */
function outliersOf(name: string): [index: number, value: number][] {
  const column = (height: number, at: number, value: (row: number) => number): [number, number][] =>
    Array.from({ length: height }, (_, row) => [row * HIDDEN + at, value(row)]);
  const heads = (count: number, ...pairs: [channel: number, at: number, value: number][]) =>
    Array.from({ length: count }, (_, head) =>
      pairs.map(([channel, at, value]): [number, number] => [
        (head * HEAD_DIM + channel) * HIDDEN + at,
        value,
      ]),
    ).flat();
  if (name.includes('embed')) {
    return [
      ...column(VOCABULARY, FIRST, (token) => (token === BOS ? 12 : 0)),
      ...column(VOCABULARY, SHARED, () => 1),
    ];
  }
  if (name.includes('q_proj')) return heads(HEADS - 1, [SINK, SHARED, 2.5]);
  if (name.includes('k_proj')) return heads(KV_HEADS, [SINK, MASSIVE, 1.5], [OFFSET, SHARED, 4]);
  if (/v_proj/.test(name)) return column(KV_HEADS * HEAD_DIM, MASSIVE, () => 0);
  if (name === 'model.norm.weight') return [[MASSIVE, 0.01]];
  if (blockOf(name) !== EARLY) return [];
  if (/(gate|up)_proj/.test(name)) {
    return Array.from({ length: HIDDEN }, (_, at) => [NEURON * HIDDEN + at, at === FIRST ? 20 : 0]);
  }
  return name.includes('down_proj') ? [[MASSIVE * INTERMEDIATE + NEURON, 1]] : [];
}

/** On all linear layers; what it adds to them is some percent of their size, as in the middle of a run. */
export function deepAdapter(config: ModelConfig, seed: number): Adapter {
  const options = {
    rank: RANK,
    alpha: 2 * RANK,
    rsLora: false,
    dropout: 0,
    targetModules: [...TARGET_MODULES],
  };
  const tensors = randomLora(loraShapes(config, options), seed);
  const random = new Random(seed);
  for (const [name, { data }] of tensors) {
    if (!name.endsWith('.lora_B.weight')) continue;
    for (let i = 0; i < data.length; i++) data[i] = 0.02 * random.normal();
  }
  return {
    ...{ folder: '', tensors },
    config: { ...options, rankPattern: {}, alphaPattern: {}, baseModel: '' },
  };
}

/** Two rows of 64: one document, and two, of random tokens after the first; each document's last token has no label. */
export function deepBatch(seed: number): Batch {
  const random = new Random(seed);
  const [rows, sequence] = [2, 64];
  const ends = [64, 64 + 41, 128];
  const positions = ends.flatMap((end, i) => Array.from({ length: end - (ends[i - 1] ?? 0) }, (_, p) => p));
  const tokens = positions.map((position) => (position === 0 ? BOS : 3 + random.integer(VOCABULARY - 3)));
  const labels = tokens.map((_, t) => (ends.includes(t + 1) ? -100 : tokens[t + 1]!));
  return {
    ...{ rows, sequence, tokens: Uint32Array.from(tokens), positions: Uint32Array.from(positions) },
    labels: Int32Array.from(labels),
  };
}
