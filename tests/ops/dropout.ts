import { dropout as drop } from '#src/program/ops/dropout.js';
import {
  activations,
  columns,
  integers,
  type OpTable,
  opCase,
  type Reference,
  type Tensor,
  zerosLike,
} from './cases.js';

const GOLDEN = 0x9e3779b9;

/** lowbias32 (C. Wellons). */
function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

const absorb = (state: number, value: number): number => mix((state ^ value) + GOLDEN);

/** y = x / (1 - p) where the element's hash is at least floor(p 2^32), else 0. */
const reference: Reference = ({ inputs, outputs: [out], attributes }) => {
  const [x, seedStep, place] = inputs as [Tensor, Tensor, Tensor];
  const { p, site } = attributes as { p: number; site: number };
  const width = columns(x);
  const y = zerosLike(out!);
  place.data.forEach((where, t) => {
    const key = [...seedStep.data, site, where].reduce(absorb, 0);
    for (let j = 0; j < width; j++) {
      const hash = mix(mix(key + Math.imul(j, GOLDEN)) ^ key);
      if (hash >= Math.floor(p * 2 ** 32)) y[t * width + j] = x.data[t * width + j]! / (1 - p);
    }
  });
  return [y];
};

function dropoutCase(shape: readonly [number, number], p: number, site: number, inPlace = false) {
  return opCase({
    op: 'dropout',
    label: `${shape.join(' x ')}, p ${p}, site ${site}${inPlace ? ', in place' : ''}`,
    inputs: (random) => ({
      x: activations(random, shape),
      seedStep: integers('scalar', [2], () => random.uint32(), 'u32'),
      place: integers('input', [shape[0]], () => random.uint32(), 'u32'),
    }),
    build: (b, { x, seedStep, place }) => {
      const key = { seedStep, place };
      drop(b, inPlace ? drop(b, x, key, p, site + 1) : x, key, p, site);
    },
    tolerance: { absolute: 0, relative: 4e-7, reason: 'one or two products with 1 / (1 - p) rounded to f32' },
  });
}

export const dropout: OpTable = {
  references: { dropout: reference },
  cases: [
    dropoutCase([1, 1], 0.5, 0),
    dropoutCase([3, 3], 0.1, 1),
    dropoutCase([5, 43], 0, 2),
    dropoutCase([7, 8], 0.5, 3),
    dropoutCase([13, 172], 0.1, 223),
    dropoutCase([13, 43], 0.5, 5, true),
    dropoutCase([300, 289], 0.1, 6, true),
    dropoutCase([6, 20000], 0.9, 7),
  ],
};
