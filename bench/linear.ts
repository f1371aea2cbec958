import { linear, linearDw, linearDx } from '#src/program/ops/linear.js';
import type { OpBench, Sizes } from './measure.js';

type Kind = 'linear' | 'linear_dx' | 'linear_dw';

/** m x k by k x n. */
function product(kind: Kind, m: number, k: number, n: number): OpBench {
  return {
    label: `${kind} ${m} x ${k} x ${n}`,
    build(b) {
      if (kind === 'linear') {
        const x = b.value('input', 'x', [m, k]);
        linear(b, 'y', [{ x, weight: b.value('weight', 'w', [n, k]) }]);
      } else if (kind === 'linear_dx') {
        const x = b.value('input', 'dy', [m, k]);
        linearDx(b, 'dx', [{ x, weight: b.value('weight', 'w', [k, n]), scale: 1 }], null);
      } else {
        linearDw(b, b.value('input', 'dy', [k, m]), b.value('input', 'x', [k, n]), 1, null);
      }
    },
  };
}

/** The squares and the head everybody compares, then the layers of the student, and the teacher's widest. */
export function linearBenches(sizes: Sizes): OpBench[] {
  const { tokens, hidden, intermediate, rank, teacherHidden, teacherIntermediate } = sizes;
  return [
    product('linear', 512, 512, 512),
    product('linear', 2048, 288, 32000),
    product('linear', tokens, hidden, intermediate),
    product('linear', tokens, intermediate, hidden),
    product('linear', tokens, hidden, rank),
    product('linear', tokens, rank, hidden),
    product('linear_dx', tokens, intermediate, hidden),
    product('linear_dw', hidden, tokens, rank),
    product('linear_dw', rank, tokens, hidden),
    product('linear', tokens, teacherHidden, teacherIntermediate),
    // Every weight trained: both sides are wide.
    product('linear_dw', 1376, tokens, 512),
    product('linear_dw', intermediate, tokens, hidden),
    product('linear_dw', hidden, tokens, intermediate),
  ];
}
