import { join } from 'node:path';
import { z } from 'zod';
import { InputError } from '../base/errors.js';
import { readJsonFile } from '../formats/json.js';
import type { Traits } from './families/family.js';
import { families } from './families.js';

/** The shape of a Llama-like model, from the `config.json` of a Hugging Face folder. */
export interface ModelConfig extends Traits {
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Divides `heads`; each key/value head serves heads / keyValueHeads query heads. */
  keyValueHeads: number;
  /** Elements of one head; heads x headDim may differ from hiddenSize. */
  headDim: number;
  normEps: number;
  ropeTheta: number;
  ropeScaling?: RopeScaling;
  /** Longest sequence the model was made for, in tokens. */
  maxPositions: number;
  /** The LM head is the embedding. */
  tiedEmbeddings: boolean;
  bosId?: number;
  eosIds: number[];
}

export interface RopeScaling {
  type: 'llama3';
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  /** Longest sequence before scaling, in tokens. */
  originalMaxPositions: number;
}

/** Far above any model, so that shapes can be made from what a damaged file says. */
const MAX_SIZE = 2 ** 24;
const MAX_LAYERS = 1000;

const sizeUpTo = (most: number) => z.int().min(1).max(most, `expected at most ${most}`);
const size = sizeUpTo(MAX_SIZE);
const tokenId = z.int().min(0);

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

/** What the families share. Defaults are those of transformers' LlamaConfig. */
const configSchema = z.looseObject({
  model_type: z.enum([...families.keys()] as [string], `expected one of ${[...families.keys()].join(', ')}`),
  hidden_act: z.literal('silu', 'expected "silu", the one supported activation').default('silu'),
  quantization_config: z.null('expected none, quantised weights are not supported').optional(),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: sizeUpTo(MAX_LAYERS),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().default(10000),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  max_position_embeddings: size.default(2048),
  tie_word_embeddings: z.boolean().default(false),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
});

type RawConfig = z.infer<typeof configSchema>;

/**
 * Reads `config.json` in a model folder.
 * @throws InputError naming every field that is missing, wrong or not supported
 */
export function readModelConfig(folder: string): ModelConfig {
  return readModelConfigFile(join(folder, 'config.json'));
}

/** The same, of a file with any name. */
export function readModelConfigFile(path: string): ModelConfig {
  const common = readJsonFile(path, configSchema);
  const family = families.get(common.model_type)!;
  const own = readJsonFile(path, family.fields);
  const raw: RawConfig = { ...common, ...(own as Partial<RawConfig>) };
  const headDim = raw.head_dim ?? raw.hidden_size / raw.num_attention_heads;
  const keyValueHeads = raw.num_key_value_heads ?? raw.num_attention_heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw new InputError(
      `${path}: head_dim: expected an even integer (rope rotates pairs), found ${headDim}`,
    );
  }
  if (raw.num_attention_heads % keyValueHeads !== 0) {
    const heads = raw.num_attention_heads;
    throw new InputError(
      `${path}: num_key_value_heads: expected a divisor of ${heads}, found ${keyValueHeads}`,
    );
  }
  const ropeScaling = readRopeScaling(path, raw);
  return {
    vocabularySize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads: raw.num_attention_heads,
    keyValueHeads,
    headDim,
    normEps: raw.rms_norm_eps,
    ropeTheta: raw.rope_parameters?.rope_theta ?? raw.rope_theta,
    ...(ropeScaling && { ropeScaling }),
    maxPositions: raw.max_position_embeddings,
    tiedEmbeddings: raw.tie_word_embeddings,
    ...(raw.bos_token_id != null && { bosId: raw.bos_token_id }),
    eosIds: [raw.eos_token_id ?? []].flat(),
    ...family.traits(own),
  };
}

/** Newer configs keep everything about rope in `rope_parameters`, older ones the scaling in `rope_scaling`. */
function readRopeScaling(path: string, raw: RawConfig): RopeScaling | undefined {
  const field = raw.rope_parameters ? 'rope_parameters' : 'rope_scaling';
  const rope = raw[field];
  if (!rope) return undefined;
  const type = rope.rope_type ?? rope.type ?? 'default';
  if (type !== 'default' && type !== 'llama3') {
    throw new InputError(`${path}: ${field}.rope_type: expected default or llama3, found ${type}`);
  }
  const rotated = rope.partial_rotary_factor ?? 1;
  if (rotated !== 1) {
    throw new InputError(
      `${path}: ${field}.partial_rotary_factor: expected 1 (whole heads), found ${rotated}`,
    );
  }
  if (type === 'default') return undefined;
  const {
    factor,
    low_freq_factor: lowFreqFactor,
    high_freq_factor: highFreqFactor,
    original_max_position_embeddings: originalMaxPositions,
  } = rope;
  if (
    !factor ||
    !lowFreqFactor ||
    !highFreqFactor ||
    !originalMaxPositions ||
    lowFreqFactor >= highFreqFactor
  ) {
    throw new InputError(
      `${path}: ${field}: expected factor, low_freq_factor < high_freq_factor and original_max_position_embeddings ` +
        `for llama3, found ${factor}, ${lowFreqFactor}, ${highFreqFactor}, ${originalMaxPositions}`,
    );
  }
  return { type, factor, lowFreqFactor, highFreqFactor, originalMaxPositions };
}

/**
 * Inverse frequencies of rope: [headDim / 2], radians per position. Pair i of a head is (i, i + headDim / 2).
 * Source of the llama3 scaling: `_compute_llama3_parameters` in transformers' modeling_rope_utils.py.
 */
export function ropeFrequencies(
  config: Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>,
): Float64Array {
  const { headDim, ropeTheta, ropeScaling } = config;
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headDim));
  return ropeScaling ? plain.map((frequency) => scaleFrequency(frequency, ropeScaling)) : plain;
}

/** Long waves are stretched by `factor`, short ones kept, and those between blended. */
function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
  return (1 - kept) * (frequency / factor) + kept * frequency;
}
