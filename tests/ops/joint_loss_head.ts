import { jointLossHead } from '#src/program/ops/joint_loss_head.js';
import type { DType } from '#src/program/types.js';
import {
  activations,
  columns,
  type Input,
  integers,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  type Tensor,
  weights,
} from './cases.js';

const IGNORED = -100;

/** z = W h / temperature for token t, over the first `count` vocabulary entries. */
function logits(hidden: Tensor, head: Tensor, t: number, temperature: number, count: number): Float64Array {
  const width = columns(hidden);
  return Float64Array.from({ length: count }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += hidden.data[t * width + d]! * head.data[j * width + d]!;
    return sum / temperature;
  });
}

function logSoftmax(z: Float64Array): Float64Array {
  const largest = z.reduce((a, b) => Math.max(a, b));
  const logSum = largest + Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return z.map((value) => value - logSum);
}

/** ce and kl of every labelled token; and d_hidden if there is a third output. */
const reference: Reference = ({ inputs, outputs: [ceOut, , dHidden], attributes }) => {
  const [hidden, head, teacherHidden, teacherHead, labels] = inputs as [
    Tensor,
    Tensor,
    Tensor?,
    Tensor?,
    Tensor?,
  ];
  const { alpha, temperature } = attributes as { alpha: number; temperature: number };
  const [vocabulary, width] = head.shape as [number, number];
  const [ce, kl] = [new Float64Array(ceOut!.data.length), new Float64Array(ceOut!.data.length)];
  const gradient = new Float64Array(dHidden?.data.length ?? 0);
  labels!.data.forEach((label, t) => {
    if (label === IGNORED) return;
    const student = logSoftmax(logits(hidden, head, t, 1, vocabulary));
    ce[t] = -student[label]!;
    const dz = student.map((logP, j) => (1 - alpha) * (Math.exp(logP) - (j === label ? 1 : 0)));
    if (teacherHidden && teacherHead) {
      const shared = Math.min(vocabulary, teacherHead.shape[0]!);
      const logQ = logSoftmax(logits(hidden, head, t, temperature, shared));
      const logP = logSoftmax(logits(teacherHidden, teacherHead, t, temperature, shared));
      logP.forEach((teacher, j) => {
        kl[t]! += temperature ** 2 * Math.exp(teacher) * (teacher - logQ[j]!);
        dz[j]! += alpha * temperature * (Math.exp(logQ[j]!) - Math.exp(teacher));
      });
    }
    if (!dHidden) return;
    for (let d = 0; d < width; d++) {
      for (let j = 0; j < vocabulary; j++) gradient[t * width + d]! += dz[j]! * head.data[j * width + d]!;
    }
  });
  return dHidden ? [ce, kl, gradient] : [ce, kl];
};

interface Options {
  readonly tokens: number;
  readonly vocabulary: number;
  readonly width: number;
  /** [V_t, D_t], or that the teacher is the student, its head extended to V_t entries. */
  readonly teacher?: readonly [number, number] | { readonly same: number };
  readonly alpha: number;
  readonly temperature?: number;
  readonly gradient?: boolean;
  readonly dtype?: DType;
  readonly teacherDtype?: DType;
  /** Standard deviation of the logits; 25 gives +-80. */
  readonly deviation?: number;
  readonly labelled?: 'all' | 'some' | 'none';
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
  const { deviation = 1, labelled = 'some', teacherDtype = 'f32' } = options;
  const other = !teacher
    ? 'no teacher'
    : 'same' in teacher
      ? `itself with ${teacher.same} entries as teacher`
      : `teacher ${teacher.join(' x ')} ${teacherDtype}`;
  return [
    `${tokens} tokens, ${vocabulary} x ${width} ${dtype}, ${other}, alpha ${alpha}, temperature ${temperature}`,
    ...(gradient ? [] : ['no gradient']),
    ...(deviation === 1 ? [] : [`logits about ${deviation}`]),
    ...(labelled === 'some' ? [] : [`${labelled} labelled`]),
  ].join(', ');
}

function labelsOf(random: Random, { tokens, vocabulary, labelled = 'some' }: Options): Input {
  const label = (t: number) => {
    if (labelled === 'none' || (labelled === 'some' && t % 3 === 1)) return IGNORED;
    // The first and the last entry are always among them.
    return t < 2 ? 0 : t < 4 ? vocabulary - 1 : random.integer(vocabulary);
  };
  return integers('input', [tokens], label, 'i32');
}

function operands(random: Random, options: Options) {
  const { tokens, vocabulary, width, teacher, dtype = 'f32', teacherDtype = 'f32', deviation = 1 } = options;
  const hidden = activations(random, [tokens, width]);
  const head = weights(random, [vocabulary, width], dtype, deviation / Math.sqrt(width));
  const labels = labelsOf(random, options);
  if (!teacher) return { hidden, head, labels };
  if ('same' in teacher) {
    const teacherHead = weights(random, [teacher.same, width], dtype, deviation / Math.sqrt(width));
    teacherHead.data.set(head.data.subarray(0, teacherHead.data.length));
    return { hidden, head, labels, teacherHidden: hidden, teacherHead };
  }
  const [teacherVocabulary, teacherWidth] = teacher;
  const teacherDeviation = deviation / Math.sqrt(teacherWidth);
  return {
    hidden,
    head,
    labels,
    teacherHidden: activations(random, [tokens, teacherWidth]),
    teacherHead: weights(random, [teacherVocabulary, teacherWidth], teacherDtype, teacherDeviation),
  };
}

function lossCase(options: Options) {
  const { alpha, temperature = 1, gradient = true, teacher, deviation = 1 } = options;
  const same = teacher && 'same' in teacher;
  return opCase({
    op: 'joint_loss_head',
    label: describe(options),
    inputs: (random) => operands(random, options),
    build: (b, values) => {
      jointLossHead(b, values, { alpha, temperature, gradient });
    },
    tolerance: {
      absolute: same ? 1e-6 : 5e-6 * deviation,
      relative: 2e-6,
      reason: same
        ? 'KL is a sum of differences that vanish'
        : 'logits have an f32 error of about 1e-7 times their size, which the exponential makes relative',
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

export const joint_loss_head: OpTable = {
  references: { joint_loss_head: reference },
  cases: [
    ...sweep,
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
