import { jointLossHead } from '#src/program/ops/joint_loss_head.js';
import type { OpBench, Sizes } from './measure.js';

export function jointLossHeadBenches({ tokens, hidden, vocabulary, teacherHidden }: Sizes): OpBench[] {
  const bench = (teacher: boolean, gradient: boolean): OpBench => ({
    label: `joint_loss_head ${tokens} x ${vocabulary}${teacher ? ' with teacher' : ''}${gradient ? '' : ', no gradient'}`,
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
      jointLossHead(b, inputs, { alpha: teacher ? 0.5 : 0, temperature: 1, gradient });
    },
  });
  return [bench(true, true), bench(false, true), bench(false, false)];
}
