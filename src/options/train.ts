import { DATA_OPTIONS } from './data.js';
import { LOOP_OPTIONS } from './evaluations.js';
import {
  belowOne,
  count,
  device,
  notNegative,
  number,
  oneOf,
  pattern,
  positive,
  share,
  text,
  toggle,
  whole,
} from './schemas.js';
import type { InPart, Option, OptionTable, Resolved } from './table.js';

/** The options of `train`, in the order help shows them. */
export const TRAIN_OPTIONS = {
  student: {
    group: 'model',
    value: 'MODEL',
    schema: text.optional(),
    help: 'the model to adapt: a Hugging Face folder, or owner/name[@revision] on the Hub',
  },
  teacher: {
    group: 'model',
    value: 'MODEL|none',
    schema: text,
    default: 'none',
    help: 'the model to learn from, with the same tokenizer; none implies --alpha 0',
  },
  teacherCache: {
    group: 'model',
    value: 'DIR',
    schema: text.optional(),
    operational: true,
    help: "keep the teacher's hidden states in this folder, and ask the teacher for none that is there; documents are cut at multiples of --sequence (--packing best-fit)",
  },
  teacherCacheDtype: {
    group: 'model',
    value: 'TYPE',
    schema: oneOf('f32', 'bf16').optional(),
    help: 'type of the hidden states that are kept: f32, exact | bf16, half as large (default: as those that are there, f32 for the first ones)',
  },
  trainable: {
    group: 'model',
    value: 'WHAT',
    schema: oneOf('lora', 'all'),
    default: 'lora',
    help: 'lora: an adapter | all: every weight, saved as a Hugging Face folder',
  },
  fromConfig: {
    group: 'model',
    value: 'FILE',
    schema: text.optional(),
    help: 'make the student from this config.json, at random; its tokenizer lies beside it; needs --trainable all',
  },
  saveDtype: {
    group: 'model',
    value: 'TYPE',
    schema: oneOf('f32', 'f16', 'bf16').optional(),
    operational: true,
    help: "type of the weights that --trainable all saves: f32 | f16 | bf16 (default: each as in the student's files; f32 with --from-config)",
  },
  ...DATA_OPTIONS,
  steps: {
    group: 'objective',
    value: 'N',
    schema: count.optional(),
    help: 'optimizer steps, with --resume or --fork those done included (default: 1000, or as --tokens or --epochs says)',
  },
  tokens: {
    group: 'objective',
    value: 'N',
    schema: count.optional(),
    help: 'tokens to train on, instead of --steps: ceil(N / (batch x sequence)) steps',
  },
  epochs: {
    group: 'objective',
    value: 'X',
    schema: positive.optional(),
    help: 'times to train on all of the text, instead of --steps; its tokens are counted first',
  },
  alpha: {
    group: 'objective',
    value: 'X',
    schema: share,
    default: 0.5,
    help: 'L = alpha KL(teacher || student) + (1 - alpha) cross-entropy',
  },
  divergence: {
    group: 'objective',
    value: 'NAME',
    schema: oneOf('forward-kl', 'reverse-kl', 'jsd'),
    default: 'forward-kl',
    help: 'in place of the KL: forward-kl | reverse-kl, KL(student || teacher) | jsd, generalised Jensen-Shannon',
  },
  beta: {
    group: 'objective',
    value: 'X',
    schema: number((value) => value.gt(0, 'expected above 0').lt(1, 'expected below 1')),
    default: 0.5,
    help: "the teacher's share in the mixture of jsd",
  },
  temperature: {
    group: 'objective',
    value: 'X',
    schema: positive,
    default: 1,
    help: 'the KL is between softmax(z / T), weighted by T^2',
  },
  rank: { group: 'adapter', value: 'N', schema: count, default: 8, help: 'rank of the LoRA factors' },
  loraAlpha: {
    group: 'adapter',
    value: 'X',
    schema: positive.optional(),
    help: 'the adapter is scaled by alpha / rank (default: 2 x rank)',
  },
  rslora: { group: 'adapter', schema: toggle, default: false, help: 'scale by alpha / sqrt(rank) instead' },
  loraDropout: {
    group: 'adapter',
    value: 'P',
    schema: belowOne,
    default: 0,
    help: "probability of dropping an element of a LoRA layer's input",
  },
  targetModules: {
    group: 'adapter',
    value: 'NAMES',
    schema: text,
    default: 'all-linear',
    help: 'adapted layers: all-linear, or names such as q_proj,v_proj',
  },
  rankPattern: {
    group: 'adapter',
    value: 'NAME=N,...',
    schema: pattern(count).optional(),
    help: "ranks of layers that differ: ends of their names, as PEFT's rank_pattern",
  },
  alphaPattern: {
    group: 'adapter',
    value: 'NAME=X,...',
    schema: pattern(positive).optional(),
    help: 'alphas of layers that differ',
  },
  init: {
    group: 'adapter',
    value: 'HOW|ADAPTER',
    schema: text,
    default: 'random',
    help:
      'random: A uniform, B = 0 | pissa | milora: the first or last singular vectors of each weight | a PEFT adapter, a ' +
      'folder (./pissa, if it is called so) or owner/name, whose rank, alpha and layers are used',
  },
  lr: {
    group: 'optimizer',
    value: 'X',
    schema: positive,
    default: 1e-3,
    help: 'peak learning rate of AdamW',
  },
  warmup: {
    group: 'optimizer',
    value: 'N',
    schema: whole,
    default: 10,
    help: 'steps of linear warm-up, which multiplies the schedule',
  },
  schedule: {
    group: 'optimizer',
    value: 'NAME',
    schema: oneOf('cosine', 'linear', 'constant', 'wsd'),
    default: 'cosine',
    help: 'cosine | linear (both to 0) | constant | wsd: warm-up, stable, then linear decay to 0',
  },
  decay: {
    group: 'optimizer',
    value: 'F',
    schema: share,
    default: 0.1,
    help: 'share of the steps that wsd decays over',
  },
  loraPlus: {
    group: 'optimizer',
    value: 'X',
    schema: positive,
    default: 1,
    help: 'learning rate of the B factors over that of the A factors (LoRA+)',
  },
  weightDecay: {
    group: 'optimizer',
    value: 'X',
    schema: notNegative,
    default: 0,
    help: 'decoupled weight decay of matrices',
  },
  beta1: {
    group: 'optimizer',
    value: 'X',
    schema: belowOne,
    default: 0.9,
    help: 'decay of the first moment',
  },
  beta2: {
    group: 'optimizer',
    value: 'X',
    schema: belowOne,
    default: 0.999,
    help: 'decay of the second moment',
  },
  epsilon: { group: 'optimizer', value: 'X', schema: positive, default: 1e-8, help: "AdamW's epsilon" },
  clip: {
    group: 'optimizer',
    value: 'X',
    schema: notNegative,
    default: 1,
    help: 'largest global gradient norm; 0 for no clipping',
  },
  config: {
    group: 'run',
    value: 'FILE',
    schema: text.optional(),
    operational: true,
    help: 'YAML or JSON file of options by these names; those on the command line win',
  },
  dryRun: {
    group: 'run',
    schema: toggle,
    default: false,
    operational: true,
    help: 'print the plan (parameters, tokens, steps, memory, time) and all options; train and write nothing',
  },
  device: {
    group: 'run',
    value: 'NAME',
    schema: device,
    default: 'auto',
    help: 'wasm | webgpu | webgpu:WHICH, a GPU by a part of its name or its number | auto: a GPU if there is one',
  },
  teacherDevice: {
    group: 'run',
    value: 'NAME',
    schema: device.optional(),
    help: 'where the teacher runs (default: on --device)',
  },
  kernels: {
    group: 'run',
    value: 'KIND',
    schema: oneOf('auto', 'f32', 'f16', 'matrix'),
    default: 'auto',
    help: 'of the webgpu device: f32 | f16, storage in halves | matrix, that on tensor cores | auto: the last that the GPU has',
  },
  tune: {
    group: 'run',
    value: 'EFFORT',
    schema: oneOf('off', 'quick', 'full'),
    default: 'quick',
    help: 'of timing kernels on a GPU that is new to it: off | quick | full; what is found is remembered',
  },
  threads: {
    group: 'run',
    value: 'N',
    schema: count.optional(),
    operational: true,
    help: 'compute threads of the wasm device (default: one per core)',
  },
  recompute: {
    group: 'run',
    value: 'WHEN',
    schema: oneOf('auto', 'on', 'off'),
    default: 'auto',
    operational: true,
    help: "on: the backward pass computes each block's activations again instead of keeping them | off | auto: on where memory is short",
  },
  seed: { group: 'run', value: 'N', schema: whole, default: 0, help: 'seed of everything random' },
  out: {
    group: 'run',
    value: 'DIR',
    schema: text.optional(),
    help: 'folder of the run (default: a fresh one under runs/)',
  },
  resume: {
    group: 'run',
    schema: toggle,
    default: false,
    operational: true,
    help: 'continue the run in --out from its last checkpoint; other options default to those of the run',
  },
  fork: {
    group: 'run',
    value: 'RUN@STEP',
    schema: text.optional(),
    help:
      'begin a new run at a checkpoint of another one, with its weights, moments and place in the text; options default to ' +
      "that run's; batch, optimizer, schedule and objective may change",
  },
  evalEvery: {
    group: 'run',
    value: 'N',
    schema: count,
    default: 50,
    operational: true,
    help: 'steps between evaluations; there is one before the first step and one at the end',
  },
  ...LOOP_OPTIONS,
  rankTimeout: {
    group: 'run',
    value: 'SECONDS',
    schema: positive,
    default: 600,
    operational: true,
    help: 'of several ranks (mpirun, srun): how long to wait for one that is silent, before all end',
  },
  checkpointEvery: {
    group: 'run',
    value: 'N',
    schema: count,
    default: 100,
    operational: true,
    help: 'steps between checkpoints; there is one at the end',
  },
  keep: {
    group: 'run',
    value: 'N',
    schema: count,
    default: 2,
    operational: true,
    help: 'checkpoints to keep',
  },
} as const satisfies Record<string, Option>;

/** Every option, checked, with defaults filled in. */
export type TrainOptions = Resolved<typeof TRAIN_OPTIONS>;

/**
 * All may be left out: the config file or the run that is resumed has the rest, and with neither models nor text the
 * run is the quickstart. What is missing is an InputError before anything starts.
 */
export type TrainInput = { readonly [K in keyof TrainOptions]?: InPart<TrainOptions[K]> | undefined };

/** What a fork may change: nothing that the tensors, or the text and its order, depend on. */
const FORKABLE = new Set(
  [
    'batch microBatch evalTokens steps tokens epochs alpha divergence beta temperature teacherCacheDtype loraDropout',
    'lr warmup schedule decay loraPlus weightDecay beta1 beta2 epsilon clip',
    'evalTasks shots limit taskData evalGenerate maxTokens keepBest earlyStop',
    'device teacherDevice kernels tune out fork',
  ].flatMap((names) => names.split(' ')),
);

export const isForkable = (name: string): boolean => isOperational(name) || FORKABLE.has(name);

/** Operational options may differ between the parts of a resumed run. */
export const isOperational = (name: string): boolean =>
  (TRAIN_OPTIONS as OptionTable)[name]?.operational === true;
