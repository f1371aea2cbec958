import { type Divergence, jointLossHead } from '#src/program/ops/joint_loss_head.js';
import type { OpBench, Sizes } from './measure.js';

interface Variant {
  readonly gradient?: boolean;
  readonly divergence?: Divergence;
  readonly headGradient?: boolean;
  readonly argMax?: boolean;
}

export function jointLossHeadBenches({ tokens, hidden, vocabulary, teacherHidden }: Sizes): OpBench[] {
  const bench = (
    teacher: boolean,
    { gradient = true, divergence, headGradient = false, argMax = false }: Variant,
  ): OpBench => ({
    label: [
      `joint_loss_head ${tokens} x ${vocabulary}${teacher ? ' with teacher' : ''}`,
      ...(divergence ? [divergence] : []),
      ...(gradient ? [] : ['no gradient']),
      ...(headGradient ? ['trained head'] : []),
      ...(argMax ? ['arg max'] : []),
    ].join(', '),
    build: (b) => {
      const inputs = {
        hidden: b.value('input', 'hidden', [tokens, hidden]),
        head: b.value('weight', 'head', [vocabulary, hidden]),
        labels: b.value('input', 'labels', [tokens], 'i32'),
        ...(teacher
          ? {
              teacherHidden: b.value('input', 'teacher_hidden', [tokens, teacherHidden]),
              teacherHead: b.value('weight', 'teacher_head', [vocabulary, teacherHidden]),
            }
          : {}),
      };
      const alpha = teacher ? 0.5 : 0;
      jointLossHead(b, inputs, {
        alpha,
        temperature: 1,
        ...(divergence && { divergence }),
        gradient,
        headGradient,
        argMax,
      });
    },
  });
  return [
    bench(true, {}),
    bench(true, { divergence: 'reverse-kl' }),
    bench(true, { divergence: 'jsd' }),
    bench(false, {}),
    bench(false, { gradient: false }),
    bench(false, { gradient: false, argMax: true }),
    bench(true, { headGradient: true }),
  ];
}
