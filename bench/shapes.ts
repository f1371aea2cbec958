import type { ModelConfig } from '#src/model/config.js';

export type ShapeName = 'tiny' | 'small' | 'smollm2' | 'llama';

interface Dimensions {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim?: number;
  readonly vocabulary: number;
}

/** Student and teacher of each shape, and what a step of it reads. */
export const SHAPES: Readonly<Record<ShapeName, { student: Dimensions; teacher: Dimensions }>> = {
  tiny: {
    student: { hidden: 64, intermediate: 172, layers: 5, heads: 8, keyValueHeads: 4, vocabulary: 512 },
    teacher: { hidden: 192, intermediate: 512, layers: 8, heads: 6, keyValueHeads: 3, vocabulary: 512 },
  },
  small: {
    student: { hidden: 288, intermediate: 768, layers: 6, heads: 6, keyValueHeads: 6, vocabulary: 32000 },
    teacher: { hidden: 512, intermediate: 1376, layers: 8, heads: 8, keyValueHeads: 8, vocabulary: 32000 },
  },
  // SmolLM2-135M, and SmolLM2-360M with the same tokenizer.
  smollm2: {
    student: { hidden: 576, intermediate: 1536, layers: 30, heads: 9, keyValueHeads: 3, vocabulary: 49_152 },
    teacher: { hidden: 960, intermediate: 2560, layers: 32, heads: 15, keyValueHeads: 5, vocabulary: 49_152 },
  },
  // Llama 3.2 1B and Llama 3.1 8B.
  llama: {
    student: {
      hidden: 2048,
      intermediate: 8192,
      layers: 16,
      heads: 32,
      keyValueHeads: 8,
      headDim: 64,
      vocabulary: 128_256,
    },
    teacher: {
      hidden: 4096,
      intermediate: 14_336,
      layers: 32,
      heads: 32,
      keyValueHeads: 8,
      headDim: 128,
      vocabulary: 128_256,
    },
  },
};

/** Rows and tokens of a row in every bench, unless asked otherwise. */
export const ROWS = 8;
export const SEQUENCE = 256;
export const RANK = 8;

export function configOf(shape: Dimensions): ModelConfig {
  return {
    vocabularySize: shape.vocabulary,
    hiddenSize: shape.hidden,
    intermediateSize: shape.intermediate,
    layers: shape.layers,
    heads: shape.heads,
    keyValueHeads: shape.keyValueHeads,
    headDim: shape.headDim ?? shape.hidden / shape.heads,
    normEps: 1e-5,
    ropeTheta: 10_000,
    maxPositions: 8192,
    tiedEmbeddings: true,
    eosIds: [],
  };
}
