import { NO_PLACE, scatter as scatterRows } from '#src/program/ops/scatter.js';
import {
  activations,
  columns,
  EXACT,
  type Input,
  integers,
  type OpTable,
  opCase,
  type Tensor,
} from './cases.js';

/** Rows of the target that rows of x go to, from the last one down, each second one left out where `gaps`. */
const placesOf = (tokens: number, target: number, gaps: boolean): Input =>
  integers('input', [tokens], (i) => (gaps && i % 2 === 1 ? NO_PLACE : target - 1 - i), 'u32');

const scatterCase = (tokens: number, target: number, width: number, gaps: boolean) =>
  opCase({
    op: 'scatter',
    label: `${tokens} into ${target} x ${width}${gaps ? ', each second one nowhere' : ''}`,
    inputs: (random) => ({
      x: activations(random, [tokens, width]),
      places: placesOf(tokens, target, gaps),
      target: { ...activations(random, [target, width]), role: 'state' },
    }),
    build: (b, { x, places, target: rows }) => scatterRows(b, x, places, rows),
    tolerance: EXACT,
  });

export const scatter: OpTable = {
  references: {
    scatter: ({ inputs, outputs: [target] }) => {
      const [x, places] = inputs as [Tensor, Tensor];
      const data = target!.data.slice();
      const width = columns(x);
      places.data.forEach((place, t) => {
        if (place === NO_PLACE) return;
        data.set(x.data.subarray(t * width, (t + 1) * width), place * width);
      });
      return [data];
    },
  },
  cases: [
    scatterCase(1, 1, 1, false),
    scatterCase(1, 1, 7, true),
    scatterCase(5, 9, 3, false),
    scatterCase(13, 40, 43, true),
    scatterCase(300, 301, 64, true),
    scatterCase(70, 70, 600, false),
  ],
};
