import { columns, elementBytes, rows, type Value } from '../../../program/types.js';
import { dtypeCode, type FloatType, floatType, type Limits, type Operands, type Region } from './lowering.js';
import { rangesOf, rowsInBinding, sliceRows } from './rowRanges.js';

/** The left factor X [m, depth]: element (m, k) is at first + m stride + k, or first + k stride + m. */
export interface LeftFactor {
  readonly region: Region;
  readonly type: FloatType;
  readonly first: number;
  readonly stride: number;
  readonly alongK: boolean;
}

/** The right factor W [depth, n]: `rows` rows of `stride` elements in storage, one for each n if `alongK`, else k. */
export interface RightFactor {
  readonly region: Region;
  readonly dtype: number;
  readonly rowBytes: number;
  readonly rows: number;
  readonly stride: number;
  readonly alongK: boolean;
}

export interface Term {
  readonly x: LeftFactor;
  readonly w: RightFactor;
  readonly depth: number;
  readonly scale: number;
}

/**
 * y [m, n] = base + bias + sum of terms; y and base begin at element `first`, with rows of `stride` elements, the bias
 * at `firstColumn`.
 */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly base: Region | null;
  readonly baseType?: FloatType;
  readonly bias?: Region | null;
  readonly firstColumn?: number;
  readonly y: Region;
  readonly type: FloatType;
  readonly first: number;
  readonly stride: number;
  /** One or two. */
  readonly terms: readonly Term[];
  /** Rows of y whose label is negative need not be computed: their sums may be 0. */
  readonly labels?: RowLabels;
  /** Where y gets the sums of slices of k, [slices, m, n], one by one. */
  readonly slices?: Slices;
}

/** i32 [>= first + m]: the label of row 0 of a product is the one at `first`. */
export interface RowLabels {
  readonly region: Region;
  readonly first: number;
}

/** A sum cut into parts: all of `depth` steps, the last of fewer. */
export interface Slices {
  readonly count: number;
  readonly depth: number;
}

export const leftFactor = (value: Value, at: Operands, alongK: boolean, firstRow = 0): LeftFactor => ({
  region: at.of(value),
  type: floatType(value, at),
  first: firstRow * columns(value),
  stride: columns(value),
  alongK,
});

export const rightFactor = (value: Value, at: Operands, alongK: boolean, height = rows(value)): RightFactor =>
  rowsOf(
    {
      region: at.of(value),
      dtype: dtypeCode(value, at),
      rowBytes: columns(value) * elementBytes(at.typeOf(value)),
      rows: rows(value),
      stride: columns(value),
      alongK,
    },
    0,
    height,
  );

const rowsOf = (w: RightFactor, first: number, count: number): RightFactor => ({
  ...w,
  rows: count,
  region: sliceRows(w.region, { first, count }, w.rowBytes),
});

/** The same in products whose factors are not larger than a binding: a larger weight is used by ranges of its rows. */
export function splitProduct(product: Product, limits: Limits): Product[] {
  const fits = product.terms.every(({ w }) => w.region.bytes <= limits.bindingBytes);
  if (fits) return [product];
  return product.terms[0]!.w.alongK ? columnRanges(product, limits) : depthRanges(product, limits);
}

const rangeOf = ({ w }: Term, limits: Limits): number => rowsInBinding(w.rows, w.rowBytes, limits);

/** Rows of W are columns of y: each range is a product of its own. */
function columnRanges(product: Product, limits: Limits): Product[] {
  const most = Math.min(...product.terms.map((term) => rangeOf(term, limits)));
  return rangesOf(product.n, most).map(({ first, count }) => {
    const terms = product.terms.map((term) => ({ ...term, w: rowsOf(term.w, first, count) }));
    return { ...product, n: count, first: product.first + first, firstColumn: first, terms };
  });
}

/** Rows of W are steps of the sum: each range adds to what the ranges before it left in y. */
function depthRanges(product: Product, limits: Limits): Product[] {
  const terms = product.terms.flatMap((term) =>
    rangesOf(term.depth, rangeOf(term, limits)).map(({ first, count }) => {
      const { x } = term;
      const start = x.first + first * (x.alongK ? 1 : x.stride);
      return { ...term, x: { ...x, first: start }, w: rowsOf(term.w, first, count), depth: count };
    }),
  );
  const [start, ...rest] = terms.map((term) => ({ ...product, terms: [term] }));
  const more = { base: product.y, baseType: product.type, bias: null };
  return [start!, ...rest.map((part) => ({ ...part, ...more }))];
}
