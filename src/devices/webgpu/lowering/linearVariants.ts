import { type Product, type Slices, splitProduct, type Term } from './linearProduct.js';
import {
  areAdmitted,
  type Dispatch,
  type ElementType,
  f32Word,
  type Matrices,
  operand,
  type Target,
  type Variant,
} from './lowering.js';

/** What a kernel of linear*.wgsl is made for. */
interface Tile {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A kernel for tiles of one size. */
interface Kernel {
  readonly name: string;
  readonly file: string;
  readonly tile: Tile;
  /** Multiplications that a workgroup does in a unit of time, by experience; only the order of costs matters. */
  readonly rate: number;
  /** Whether it reads eight elements at once where they lie so. */
  readonly wide: boolean;
  readonly constants: Readonly<Record<string, number>>;
}

/** The variants of a product, the one to use by default first. All give the same sums, but for rounding. */
export function productVariants(product: Product, target: Target): Variant[] {
  const parts = splitProduct(product, target);
  const ranked = kernelsFor(target).map((kernel) => ({ kernel, cost: costOf(product, kernel) }));
  ranked.sort((a, b) => a.cost - b.cost);
  const variants = ranked.map(({ kernel }) => ({
    name: kernel.name,
    dispatches: parts.map((part) => dispatch(part, kernel)),
  }));
  return variants.filter(
    ({ dispatches }) => dispatches.every(fitsRegisters) && areAdmitted(dispatches, target),
  );
}

/** Of the 255 or 256 that GPUs have for a thread; addresses and matrices on their way take the rest. */
const MOST_REGISTERS = 168;

/**
 * Whether a thread's sums, and what it reads ahead for the next step, stay in registers (kernels/linear_matrix.wgsl).
 * Largest tiles with eights of f32 on both sides don't: they would go through memory in every step.
 */
function fitsRegisters({ file, constants }: Dispatch): boolean {
  if (file !== 'linear_matrix') return true;
  const { TILE_M, TILE_N, TILE_K, THREADS, TERMS } = constants as Record<string, number>;
  const isHalves = (name: string) =>
    constants[`${name}_WIDE`] === 1 && constants[`${name}_DTYPE`] !== X_DTYPES.f32;
  const ahead = (side: 'X' | 'W', length: number) => {
    const operands = TERMS === 1 ? [`${side}1`] : [`${side}1`, `${side}2`];
    return ((length * TILE_K!) / 8 / THREADS!) * (operands.every(isHalves) ? 4 : 8);
  };
  return (TILE_M! * TILE_N!) / THREADS! + ahead('X', TILE_M!) + ahead('W', TILE_N!) <= MOST_REGISTERS;
}

/** What two products have in common that the same variant suits. */
export const productKey = ({ m, n, type, terms }: Product): string =>
  [`${m} x ${n} ${type}`, ...terms.map(termKey)].join(' + ');

const termKey = ({ depth, x, w }: Term): string =>
  `${depth} x ${x.type} ${order(x.alongK)} w ${w.dtype} ${order(w.alongK)}`;

const order = (alongK: boolean): string => (alongK ? 'along k' : 'across');

/** The product by the variant that the target has chosen for it, else the default one. */
export function productDispatches(product: Product, target: Target): Dispatch[] {
  const variants = productVariants(product, target);
  const variant = target.choose?.(productKey(product), variants) ?? variants[0]!;
  return [...variant.dispatches];
}

/** Workgroups that a large GPU runs at the same time, about. */
export const SLOTS = 128;
/** Multiplications in the time that it takes all of them to read an element. */
const READ_COST = 1e-3;

/** Of a step of k. */
function costOf({ m, n, slices }: Product, { tile, rate }: Kernel): number {
  const tiles = Math.ceil(m / tile.m) * Math.ceil(n / tile.n) * (slices?.count ?? 1);
  return (Math.ceil(tiles / SLOTS) * tile.m * tile.n) / rate + READ_COST * tiles * (tile.m + tile.n);
}

function kernelsFor(target: Target): Kernel[] {
  return [
    ...(target.lanes === LANES ? [LANES_KERNEL] : []),
    ...(target.matrices ? matrixKernels(target.matrices, target.workgroupBytes) : []),
    ...GENERIC_TILES.map(genericKernel),
  ];
}

/** kernels/linear_lanes.wgsl: LANES. Nothing else is as fast where it runs. */
const LANES = 8;
const LANES_KERNEL: Kernel = {
  name: 'lanes 16 x 16',
  file: 'linear_lanes',
  rate: 1e3,
  wide: false,
  constants: {},
  tile: { m: 16, n: 16, k: 4 },
};

const GENERIC_TILES = [
  { m: 64, n: 64, k: 16, rate: 1 },
  { m: 128, n: 64, k: 16, rate: 1.1 },
  { m: 128, n: 16, k: 16, rate: 0.4 },
  { m: 16, n: 128, k: 16, rate: 0.4 },
] as const;

const genericKernel = ({ rate, ...tile }: (typeof GENERIC_TILES)[number]): Kernel => ({
  name: `generic ${tile.m} x ${tile.n}`,
  file: 'linear',
  wide: true,
  constants: {},
  tile,
  rate,
});

const MATRIX_TILES = [
  { m: 128, n: 128, k: 32, threads: 256, rate: 10 },
  { m: 128, n: 128, k: 64, threads: 256, rate: 9.9 },
  { m: 128, n: 256, k: 32, threads: 256, rate: 9.5 },
  { m: 64, n: 64, k: 32, threads: 128, rate: 6 },
  { m: 64, n: 16, k: 64, threads: 128, rate: 3 },
  { m: 16, n: 64, k: 64, threads: 128, rate: 3 },
] as const;

function matrixKernels(matrices: Matrices, workgroupBytes: number): Kernel[] {
  return MATRIX_TILES.flatMap(({ threads, rate, ...tile }) => {
    const grid = subgroupGrid(tile, threads / matrices.subgroup, matrices);
    if (!grid || matrixBytes(tile, grid, matrices) > workgroupBytes) return [];
    const { m, n, k } = matrices;
    const constants = {
      MATRIX_M: m,
      MATRIX_N: n,
      MATRIX_K: k,
      THREADS: threads,
      SUBGROUP_SIZE: matrices.subgroup,
      SUBGROUPS_M: grid.m,
      SUBGROUPS_N: grid.n,
    };
    const name = `matrix ${tile.m} x ${tile.n} x ${tile.k}`;
    return [{ name, file: 'linear_matrix', tile, rate, wide: true, constants }];
  });
}

interface Grid {
  readonly m: number;
  readonly n: number;
}

/** How subgroups share a tile: in parts as square as whole matrices allow, which read the least; undefined: not at all. */
function subgroupGrid(tile: Tile, subgroups: number, { m, n, k }: Matrices): Grid | undefined {
  const grids = Array.from({ length: subgroups }, (_, i) => ({ m: i + 1, n: subgroups / (i + 1) }));
  const whole = grids.filter(
    (grid) => tile.m % (grid.m * m) === 0 && tile.n % (grid.n * n) === 0 && Number.isInteger(grid.n),
  );
  const edges = (grid: Grid) => tile.m / grid.m + tile.n / grid.n;
  return tile.k % k === 0 ? whole.sort((a, b) => edges(a) - edges(b))[0] : undefined;
}

/** kernels/linear_matrix.wgsl: `cells`, of 16 bytes, for the orders of X and W that take the most. */
function matrixBytes({ m, n, k }: Tile, grid: Grid, matrices: Matrices): number {
  const cells = (length: number, rows: number) => rows * (length / 8 + 1);
  const tiles = Math.max(cells(k, m), cells(m, k)) + Math.max(cells(k, n), cells(n, k));
  return 16 * Math.max(tiles, (grid.m * matrices.m * n) / 4);
}

function dispatch(product: Product, { file, tile, wide, constants }: Kernel): Dispatch {
  const { m, n, base, baseType = 'f32', bias = null, firstColumn = 0, y, type, first, stride } = product;
  const { count: slices, depth: sliceDepth } = product.slices ?? WHOLE;
  const { labels } = product;
  const [one, two] = product.terms as [Term, Term?];
  const added = operand(base, y);
  const operands = [...access('X1', 'W1', one, product, wide), ...access('X2', 'W2', two, product, wide)];
  const scale = two ? 1 : one.scale;
  return {
    file,
    entry: file,
    constants: {
      TILE_M: tile.m,
      TILE_N: tile.n,
      TILE_K: tile.k,
      ...constants,
      TERMS: product.terms.length,
      X_ALONG_K: Number(one.x.alongK),
      W_ALONG_K: Number(one.w.alongK),
      ...Object.fromEntries(operands.flatMap(({ constants }) => Object.entries(constants))),
    },
    types: {
      B: baseType,
      Y: type,
      ...Object.fromEntries(operands.map(({ name, words }) => [name, words])),
    },
    shape: [
      m,
      n,
      first,
      stride,
      added.code,
      product.terms.length,
      bias ? 1 + firstColumn : 0,
      f32Word(scale),
      ...termWords(one, two ? one.scale : 1, sliceDepth),
      ...termWords(two, two?.scale ?? 0, sliceDepth),
      labels ? 1 + labels.first : 0,
    ],
    bindings: [
      added.binding,
      one.x.region,
      one.w.region,
      two?.x.region ?? null,
      two?.w.region ?? null,
      bias,
      y,
      labels?.region ?? null,
    ],
    groups: [Math.ceil(n / tile.n), Math.ceil(m / tile.m), slices],
  };
}

const WHOLE: Slices = { count: 1, depth: 2 ** 32 - 1 };

const termWords = (term: Term | undefined, scale: number, sliceDepth: number): number[] =>
  term
    ? [term.x.first, term.x.stride, term.w.stride, term.depth, f32Word(scale), sliceDepth, 0, 0]
    : [0, 0, 0, 0, 0, 0, 0, 0];

const X_DTYPES = { f32: 0, f16: 2 } as const;
/** Elements that wide operands are read by. */
const WIDTH = 8;

/** How the kernel reads the factors of a term (kernels/linear_operands.wgsl). */
function access(xName: string, wName: string, term: Term | undefined, { m, n }: Product, wide: boolean) {
  const of = (name: string, dtype: number, isWide: boolean) => ({
    name,
    words: (isWide ? 'vec4u' : 'u32') as ElementType,
    constants: { [`${name}_DTYPE`]: dtype, [`${name}_WIDE`]: Number(isWide) },
  });
  if (!term) return [of(xName, 0, false), of(wName, 0, false)];
  const { x, w, depth } = term;
  const even = (...numbers: number[]) => wide && numbers.every((number) => number % WIDTH === 0);
  return [
    of(xName, X_DTYPES[x.type], even(x.first, x.stride, x.alongK ? depth : m)),
    of(wName, w.dtype, even(w.stride, w.alongK ? depth : n)),
  ];
}
