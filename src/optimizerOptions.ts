import { belowOne, notNegative, oneOf, positive, share, whole } from './optionSchemas.js';
import type { Option } from './optionTable.js';

/** The options of `train` that say how it steps. */
export const OPTIMIZER_OPTIONS = {
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
} as const satisfies Record<string, Option>;
