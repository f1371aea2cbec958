import { type Divergence, jointLossHead } from '#src/program/ops/joint_loss_head.js';
import type { DType } from '#src/program/types.js';
import {
  activations,
  floats,
  HALVES,
  type Input,
  integers,
  type OpTable,
  opCase,
  type Random,
  scalar,
  weights,
} from './cases.js';
import { IGNORED, jointLossReference } from './joint_loss_reference.js';

interface Options {
  readonly tokens: number;
  readonly vocabulary: number;
  readonly width: number;
  /** [V_t, D_t], or that the teacher is the student, its head extended to V_t entries. */
  readonly teacher?: readonly [number, number] | { readonly same: number };
  readonly alpha: number;
  readonly temperature?: number;
  readonly divergence?: Divergence;
  readonly beta?: number;
  readonly gradient?: boolean;
  readonly headGradient?: boolean;
  /** Of small whole numbers, so that all devices find the same logits and many of them equal. */
  readonly argMax?: boolean;
  readonly lossScale?: number;
  readonly dtype?: DType;
  readonly teacherDtype?: DType;
  /** Standard deviation of the logits; 25 gives +-80. */
  readonly deviation?: number;
  /** Or two of three within a range of tokens, as of an answer after its prompt. */
  readonly labelled?: 'all' | 'some' | 'none' | readonly [first: number, end: number];
}

function describe(options: Options): string {
  const {
    tokens,
    vocabulary,
    width,
    teacher,
    alpha,
    temperature = 1,
    gradient = true,
    dtype = 'f32',
  } = options;
  const { deviation = 1, labelled = 'some', teacherDtype = 'f32', divergence, beta } = options;
  const { headGradient, argMax, lossScale } = options;
  const other = !teacher
    ? 'no teacher'
    : 'same' in teacher
      ? `itself with ${teacher.same} entries as teacher`
      : `teacher ${teacher.join(' x ')} ${teacherDtype}`;
  return [
    `${tokens} tokens, ${vocabulary} x ${width} ${dtype}, ${other}, alpha ${alpha}, temperature ${temperature}`,
    ...(divergence ? [divergence === 'jsd' ? `jsd ${beta}` : divergence] : []),
    ...(gradient ? [] : ['no gradient']),
    ...(headGradient ? ['trained head'] : []),
    ...(argMax ? ['arg max'] : []),
    ...(lossScale ? [`loss scale ${lossScale}`] : []),
    ...(deviation === 1 ? [] : [`logits about ${deviation}`]),
    ...(labelled === 'some'
      ? []
      : [`${typeof labelled === 'string' ? labelled : labelled.join(' to ')} labelled`]),
  ].join(', ');
}

function labelsOf(random: Random, { tokens, vocabulary, labelled = 'some' }: Options): Input {
  const label = (t: number) => {
    if (labelled === 'none' || (labelled !== 'all' && t % 3 === 1)) return IGNORED;
    if (typeof labelled !== 'string' && (t < labelled[0] || t >= labelled[1])) return IGNORED;
    // The first and the last entry are always among them.
    return t < 2 ? 0 : t < 4 ? vocabulary - 1 : random.integer(vocabulary);
  };
  return integers('input', [tokens], label, 'i32');
}

function operands(random: Random, options: Options) {
  const { tokens, vocabulary, width, teacher, dtype = 'f32', teacherDtype = 'f32', deviation = 1 } = options;
  const { argMax } = options;
  const whole = () => random.integer(3) - 1;
  const hidden = argMax ? floats('input', [tokens, width], whole) : activations(random, [tokens, width]);
  const head = argMax
    ? floats('weight', [vocabulary, width], whole, dtype)
    : weights(random, [vocabulary, width], dtype, deviation / Math.sqrt(width));
  const common = {
    ...{ hidden, head, labels: labelsOf(random, options) },
    ...(options.lossScale && { lossScale: scalar(options.lossScale) }),
  };
  if (!teacher) return common;
  if ('same' in teacher) {
    const teacherHead = weights(random, [teacher.same, width], dtype, deviation / Math.sqrt(width));
    teacherHead.data.set(head.data.subarray(0, teacherHead.data.length));
    return { ...common, teacherHidden: hidden, teacherHead };
  }
  const [teacherVocabulary, teacherWidth] = teacher;
  const teacherDeviation = deviation / Math.sqrt(teacherWidth);
  return {
    ...common,
    teacherHidden: activations(random, [tokens, teacherWidth]),
    teacherHead: weights(random, [teacherVocabulary, teacherWidth], teacherDtype, teacherDeviation),
  };
}

function lossCase(options: Options) {
  const { alpha, temperature = 1, gradient = true, teacher, deviation = 1, headGradient = false } = options;
  const { divergence, beta, tokens, lossScale = 1, argMax = false } = options;
  const same = teacher && 'same' in teacher;
  const choice = { ...(divergence && { divergence }), ...(beta !== undefined && { beta }) };
  // Every element of d_head is a sum over all tokens.
  const terms = headGradient ? Math.sqrt(tokens) : 1;
  // Reverse KL multiplies probabilities by logarithms of their quotients.
  const size = divergence === 'reverse-kl' ? deviation ** 2 : deviation;
  return opCase({
    op: 'joint_loss_head',
    label: describe(options),
    inputs: (random) => operands(random, options),
    build: (b, values) => {
      jointLossHead(b, values, { alpha, temperature, ...choice, gradient, headGradient, argMax });
    },
    tolerance: {
      absolute: (same ? 1e-6 : 5e-6 * size) * terms * lossScale,
      relative: 2e-6,
      reason: same
        ? 'KL is a sum of differences that vanish'
        : 'logits have an f32 error of about 1e-7 times their size, which the exponential makes relative',
      // Rounded hidden states move logits by 2^-11 of their size, and so probabilities by that share of themselves.
      halves: Math.max(HALVES, deviation * 2 ** -11),
    },
  });
}

/** Every vocabulary with every number of tokens, the options in turn: the teacher is absent, wider or narrower. */
const sweep = [5, 211, 512, 1000].flatMap((vocabulary, i) =>
  [1, 7, 70, 300].map((tokens, j) => {
    const teacher = [undefined, [vocabulary + 13, 48], [vocabulary - 2, 12]][(i + j) % 3] as
      | [number, number]
      | undefined;
    return lossCase({
      tokens,
      vocabulary,
      width: [16, 43, 64][j % 3]!,
      ...(teacher && { teacher }),
      alpha: teacher ? [0.5, 1, 0][(i + 2 * j) % 3]! : 0,
      temperature: 1 + (j % 2),
      gradient: (i + j) % 4 !== 3,
      labelled: j % 2 ? 'some' : 'all',
    });
  }),
);

/** Every divergence with every form of teacher; a frozen and a trained head in turn. */
const divergences = ([['reverse-kl'], ['jsd', 0.1], ['jsd', 0.5], ['jsd', 0.9]] as const).flatMap(
  ([divergence, beta], i) => {
    const choice = { divergence, ...(beta !== undefined && { beta }) };
    const widths = [24, 43, 64] as const;
    return [
      { tokens: 7, vocabulary: 211, teacher: [224, 48], alpha: 1, temperature: 1 },
      { tokens: 70, vocabulary: 512, teacher: [500, 12], alpha: 0.5, temperature: 2 },
      { tokens: 300, vocabulary: 1000, teacher: [1000, 40], alpha: 0.5, temperature: 1 },
      { tokens: 70, vocabulary: 1000, teacher: [700, 40], alpha: 1, temperature: 2, labelled: 'all' },
      { tokens: 70, vocabulary: 211, teacher: [211, 64], alpha: 0.5, temperature: 1, deviation: 25 },
      { tokens: 7, vocabulary: 512, teacher: [600, 32], alpha: 1, temperature: 2, deviation: 25 },
      { tokens: 7, vocabulary: 211, teacher: [211, 48], alpha: 0, temperature: 2, gradient: false },
      { tokens: 7, vocabulary: 211, teacher: [211, 48], alpha: 0.5, temperature: 1, labelled: 'none' },
      { tokens: 70, vocabulary: 211, teacher: { same: 211 }, alpha: 1, temperature: 1 },
      { tokens: 70, vocabulary: 512, teacher: { same: 519 }, alpha: 1, temperature: 2 },
    ].map((options, j) =>
      lossCase({
        width: widths[(i + j) % 3]!,
        headGradient: (i + j) % 2 === 0 && options.gradient !== false,
        ...choice,
        ...(options as Omit<Options, 'width'>),
      }),
    );
  },
);

/** A tile of the vocabulary and less, several of them, and more tokens than a chunk has; equal logits in other tiles. */
const likeliest = [
  { tokens: 1, vocabulary: 5, width: 3, labelled: 'all' },
  { tokens: 7, vocabulary: 211, width: 16 },
  { tokens: 70, vocabulary: 512, width: 8, dtype: 'bf16' },
  { tokens: 300, vocabulary: 1000, width: 24, dtype: 'f16', teacher: [1000, 12] },
  { tokens: 13, vocabulary: 5000, width: 6 },
  { tokens: 1030, vocabulary: 131, width: 16 },
  { tokens: 7, vocabulary: 211, width: 16, labelled: 'none' },
  { tokens: 1030, vocabulary: 131, width: 16, labelled: [640, 733] },
] as const;

/** Whole chunks of tokens without a label, and the ends of others; more of them than a block of the trained head has. */
const answers = [
  { tokens: 1030, vocabulary: 131, width: 24, labelled: [600, 733] },
  { tokens: 1030, vocabulary: 131, width: 16, labelled: [3, 6], teacher: [140, 12] },
  {
    tokens: 1030,
    vocabulary: 300,
    width: 16,
    labelled: [500, 540],
    teacher: [300, 12],
    divergence: 'jsd',
    beta: 0.3,
  },
  {
    tokens: 300,
    vocabulary: 1000,
    width: 43,
    labelled: [11, 290],
    teacher: [700, 40],
    divergence: 'reverse-kl',
  },
  { tokens: 70, vocabulary: 512, width: 64, labelled: [69, 70], teacher: [512, 64], dtype: 'bf16' },
] as const;

const trainedHead = { headGradient: true } as const;

export const joint_loss_head: OpTable = {
  references: { joint_loss_head: jointLossReference },
  cases: [
    ...sweep,
    ...divergences,
    ...likeliest.map((options) => lossCase({ ...options, alpha: 0, gradient: false, argMax: true })),
    ...answers.flatMap((options) => [
      lossCase({ ...options, alpha: 0.5 }),
      lossCase({ ...options, alpha: 0.5, gradient: false }),
      lossCase({ ...options, alpha: 0.5, ...trainedHead }),
    ]),
    lossCase({ tokens: 1, vocabulary: 5, width: 3, alpha: 0, labelled: 'all', ...trainedHead }),
    lossCase({ tokens: 7, vocabulary: 211, width: 24, alpha: 0, ...trainedHead }),
    lossCase({ tokens: 70, vocabulary: 512, width: 43, teacher: [500, 96], alpha: 0.5, ...trainedHead }),
    // More than a block of tokens and of columns.
    lossCase({ tokens: 270, vocabulary: 300, width: 172, teacher: [313, 16], alpha: 0.5, ...trainedHead }),
    lossCase({ tokens: 70, vocabulary: 211, width: 64, teacher: { same: 211 }, alpha: 1, ...trainedHead }),
    lossCase({ tokens: 70, vocabulary: 211, width: 40, alpha: 0.5, labelled: 'none', ...trainedHead }),
    // More tokens than a chunk has.
    lossCase({
      tokens: 1030,
      vocabulary: 131,
      width: 24,
      teacher: [130, 12],
      alpha: 0.5,
      divergence: 'jsd',
      beta: 0.5,
      ...trainedHead,
    }),
    ...[
      { teacher: [200, 48], temperature: 2 },
      { teacher: [211, 48], divergence: 'reverse-kl' },
      { teacher: [211, 48], divergence: 'jsd', beta: 0.1 },
      {},
    ].map((options, i) =>
      lossCase({
        ...{ tokens: 70, vocabulary: 211, width: 24, alpha: 0.3, lossScale: 3, headGradient: i % 2 === 0 },
        ...(options as Partial<Options>),
      }),
    ),
    lossCase({ tokens: 1, vocabulary: 5, width: 3, alpha: 0, labelled: 'all' }),
    lossCase({ tokens: 1, vocabulary: 5, width: 3, teacher: [5, 4], alpha: 1, labelled: 'all' }),
    lossCase({ tokens: 7, vocabulary: 5, width: 8, teacher: [9, 5], alpha: 0.5 }),
    lossCase({ tokens: 7, vocabulary: 211, width: 43, alpha: 0.5 }),
    lossCase({ tokens: 70, vocabulary: 211, width: 64, teacher: [224, 48], alpha: 0.5, dtype: 'bf16' }),
    lossCase({ tokens: 70, vocabulary: 512, width: 48, teacher: [500, 96], alpha: 1, temperature: 2 }),
    lossCase({ tokens: 70, vocabulary: 512, width: 64, teacher: [512, 43], alpha: 0, temperature: 2 }),
    lossCase({ tokens: 70, vocabulary: 512, width: 64, alpha: 0, gradient: false, teacher: [512, 64] }),
    lossCase({
      tokens: 300,
      vocabulary: 1000,
      width: 64,
      teacher: [1024, 96],
      alpha: 0.5,
      teacherDtype: 'bf16',
    }),
    lossCase({ tokens: 300, vocabulary: 1000, width: 40, alpha: 0, labelled: 'all', dtype: 'f16' }),
    lossCase({ tokens: 1030, vocabulary: 131, width: 16, teacher: [130, 12], alpha: 0.5, temperature: 2 }),
    lossCase({
      tokens: 7,
      vocabulary: 5000,
      width: 43,
      teacher: [5003, 16],
      alpha: 0.5,
      teacherDtype: 'f16',
    }),
    lossCase({ tokens: 13, vocabulary: 1000, width: 288, teacher: [200, 172], alpha: 0.5, temperature: 2 }),
    lossCase({ tokens: 13, vocabulary: 768, width: 600, teacher: [256, 1100], alpha: 0.5, dtype: 'bf16' }),
    lossCase({ tokens: 6, vocabulary: 256, width: 129, teacher: [257, 513], alpha: 1, teacherDtype: 'f16' }),
    lossCase({ tokens: 70, vocabulary: 211, width: 64, teacher: [211, 64], alpha: 0.5, deviation: 25 }),
    lossCase({
      tokens: 7,
      vocabulary: 512,
      width: 64,
      teacher: [600, 32],
      alpha: 0.5,
      deviation: 25,
      temperature: 2,
    }),
    lossCase({ tokens: 70, vocabulary: 211, width: 64, teacher: [211, 48], alpha: 0.5, labelled: 'none' }),
    lossCase({ tokens: 70, vocabulary: 211, width: 64, teacher: { same: 211 }, alpha: 1 }),
    lossCase({ tokens: 70, vocabulary: 512, width: 48, teacher: { same: 519 }, alpha: 1, temperature: 2 }),
    lossCase({ tokens: 7, vocabulary: 1000, width: 64, teacher: { same: 1000 }, alpha: 1, dtype: 'bf16' }),
  ],
};
