import type { ModelConfig } from '#src/model/config.js';
import { families } from '#src/model/families.js';
import { targetModules } from '#src/model/lora.js';
import { studentModule, teacherModule } from '#src/model/programs.js';
import { type ModelFiles, weightShapes } from '#src/model/weights.js';
import type { Module } from '#src/program/types.js';

/** What the programs of a joint step are made for. */
export interface StepShape {
  readonly family: string;
  readonly shape: ShapeName;
  readonly rank: number;
  /** All weights instead of an adapter. */
  readonly full?: boolean;
  /** Elements of the student's heads, where not the shape's. */
  readonly headDim?: number;
}

export type ShapeName = 'tiny' | 'small' | 'llama';

type Size = Pick<
  ModelConfig,
  'hiddenSize' | 'intermediateSize' | 'heads' | 'keyValueHeads' | 'headDim' | 'vocabularySize'
>;

const size = (
  [hiddenSize, intermediateSize]: readonly [number, number],
  [heads, keyValueHeads, headDim]: readonly [number, number, number],
  vocabularySize: number,
): Size => ({ hiddenSize, intermediateSize, heads, keyValueHeads, headDim, vocabularySize });

/** Those of bench/shapes.ts. */
const SIZES: Readonly<Record<ShapeName, { readonly student: Size; readonly teacher: Size }>> = {
  tiny: { student: size([64, 172], [8, 4, 8], 512), teacher: size([192, 512], [6, 3, 32], 512) },
  small: { student: size([288, 768], [6, 6, 48], 32_000), teacher: size([512, 1376], [8, 8, 64], 32_000) },
  llama: {
    student: size([2048, 8192], [32, 8, 64], 128_256),
    teacher: size([4096, 14_336], [32, 8, 128], 128_256),
  },
};

/** Kernels are the same for every block. */
const LAYERS = 2;
const BATCH = { rows: 8, sequence: 256 };

function filesOf(family: string, dimensions: Size, dtype: 'F32' | 'BF16'): ModelFiles {
  const { traits, fields } = families.get(family)!;
  const config: ModelConfig = {
    ...{ ...dimensions, layers: LAYERS, normEps: 1e-5, ropeTheta: 10_000, maxPositions: 8192 },
    ...{ tiedEmbeddings: true, eosIds: [], ...traits(fields.parse({ num_hidden_layers: LAYERS })) },
  };
  const tensors = [...weightShapes(config)].map(
    ([name, shape]) =>
      [name, { name, dtype, shape: [...shape], byteOffset: 0, byteLength: 0, path: '' }] as const,
  );
  return { folder: family, configFile: family, config, tensors: new Map(tensors) };
}

/** The modules of student and teacher, whose weights need not exist. */
export function stepModules(step: StepShape, lossScaling: boolean): Module[] {
  const { family, shape, rank, full = false } = step;
  const sizes = SIZES[shape].student;
  const dtype = shape === 'llama' ? 'BF16' : 'F32';
  const teacher = filesOf(family, SIZES[shape].teacher, dtype);
  const lora = { rank, alpha: 2 * rank, rsLora: false, dropout: 0.1 };
  const student = studentModule({
    student: filesOf(family, { ...sizes, headDim: step.headDim ?? sizes.headDim }, full ? 'F32' : dtype),
    teacher,
    lora: full ? undefined : { ...lora, targetModules: targetModules(['all-linear']) },
    objective: { alpha: 0.5, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
    optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
    recompute: true,
    lossScaling,
    microBatches: 4,
    train: BATCH,
    evaluate: BATCH,
  });
  return [student.module, teacherModule(teacher, BATCH).module];
}
