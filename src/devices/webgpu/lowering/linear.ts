import { columns, elementBytes, rows, type Value } from '../../../program/types.js';
import {
  type Dispatch,
  dtypeCode,
  type FloatType,
  f32Word,
  floatType,
  type Limits,
  type Lowering,
  type Operands,
  operand,
  type Region,
  roundUp,
} from './lowering.js';

/** kernels/linear.wgsl: TILE_M, TILE_N. */
const TILE = 64;
/** Rows of a weight in a range are a multiple of this, so that every range starts at a multiple of 256 bytes. */
const RANGE_ROWS = 128;

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
  readonly terms: readonly Term[];
}

export const leftFactor = (value: Value, at: Operands, alongK: boolean, firstRow = 0): LeftFactor => ({
  region: at.of(value),
  type: floatType(value, at),
  first: firstRow * columns(value),
  stride: columns(value),
  alongK,
});

export const rightFactor = (value: Value, at: Operands, alongK: boolean, height = rows(value)): RightFactor =>
  sliceRows(
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

/** A weight that is larger than a binding is multiplied range by range of its rows, in order. */
export function productDispatches(product: Product, limits: Limits): Dispatch[] {
  const fits = product.terms.every(({ w }) => w.region.bytes <= limits.bindingBytes);
  if (fits) return [dispatch(product)];
  return product.terms[0]!.w.alongK ? columnRanges(product, limits) : depthRanges(product, limits);
}

/** Rows of W are columns of y: each range is a product of its own. */
function columnRanges(product: Product, limits: Limits): Dispatch[] {
  const most = Math.min(...product.terms.map(({ w }) => rowsPerRange(w, limits)));
  return ranges(product.n, most).map(({ from, count }) => {
    const terms = product.terms.map((term) => ({ ...term, w: sliceRows(term.w, from, count) }));
    return dispatch({ ...product, n: count, first: product.first + from, firstColumn: from, terms });
  });
}

/** Rows of W are steps of the sum: each range adds to what the ranges before it left in y. */
function depthRanges(product: Product, limits: Limits): Dispatch[] {
  const terms = product.terms.flatMap((term) =>
    ranges(term.depth, rowsPerRange(term.w, limits)).map(({ from, count }) => {
      const first = term.x.first + from * (term.x.alongK ? 1 : term.x.stride);
      return { ...term, x: { ...term.x, first }, w: sliceRows(term.w, from, count), depth: count };
    }),
  );
  return terms.map((term, i) =>
    dispatch(
      i === 0
        ? { ...product, terms: [term] }
        : { ...product, base: product.y, baseType: product.type, terms: [term] },
    ),
  );
}

function rowsPerRange({ rows, rowBytes }: RightFactor, { bindingBytes }: Limits): number {
  if (rows * rowBytes <= bindingBytes) return rows;
  return Math.max(RANGE_ROWS, Math.floor(bindingBytes / rowBytes / RANGE_ROWS) * RANGE_ROWS);
}

function ranges(count: number, most: number): { from: number; count: number }[] {
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => {
    const from = i * most;
    return { from, count: Math.min(most, count - from) };
  });
}

function sliceRows(w: RightFactor, from: number, count: number): RightFactor {
  const { region, rowBytes } = w;
  const bytes = roundUp(count * rowBytes, 4);
  return { ...w, rows: count, region: { ...region, offset: region.offset + from * rowBytes, bytes } };
}

function dispatch({
  m,
  n,
  base,
  baseType = 'f32',
  bias = null,
  firstColumn = 0,
  y,
  type,
  first,
  stride,
  terms,
}: Product): Dispatch {
  const [one, two] = terms as [Term, Term?];
  const added = operand(base, y);
  return {
    file: 'linear',
    entry: 'linear',
    constants: {
      X_ALONG_K: one.x.alongK ? 1 : 0,
      W_ALONG_K: one.w.alongK ? 1 : 0,
      DTYPE_1: one.w.dtype,
      DTYPE_2: two?.w.dtype ?? 0,
    },
    types: { X1: one.x.type, X2: two?.x.type ?? 'f32', B: baseType, Y: type },
    shape: [
      ...[m, n, first, stride, added.code, terms.length, bias ? 1 + firstColumn : 0, 0],
      ...[...termWords(one), ...termWords(two)],
    ],
    bindings: [
      ...[added.binding, one.x.region, one.w.region],
      ...[two?.x.region ?? null, two?.w.region ?? null, bias, y],
    ],
    groups: [Math.ceil(n / TILE), Math.ceil(m / TILE)],
  };
}

const termWords = (term: Term | undefined): number[] =>
  term
    ? [term.x.first, term.x.stride, term.w.stride, term.depth, f32Word(term.scale), 0, 0, 0]
    : [0, 0, 0, 0, 0, 0, 0, 0];

const baseOf = (base: Value | null | undefined, at: Operands) => ({
  base: base ? at.of(base) : null,
  baseType: floatType(base, at),
});

/** linear reads weights [out, in] along k, its gradient in x across. */
function sumOfProducts(alongK: boolean): Lowering {
  return {
    lower({ inputs: [base, x1, w1, x2, w2, bias], outputs: [y], attributes }, at): Dispatch[] {
      const term = (x: Value, w: Value, scale: number): Term => ({
        x: leftFactor(x, at, true),
        w: rightFactor(w, at, alongK),
        depth: columns(x),
        scale,
      });
      const terms = [term(x1!, w1!, attributes.scale!)];
      if (x2 && w2) terms.push(term(x2, w2, attributes.scale2!));
      const shape = { m: rows(y!), n: columns(y!), first: 0, stride: columns(y!) };
      const added = { ...baseOf(base, at), bias: bias ? at.of(bias) : null };
      return productDispatches(
        { ...shape, ...added, y: at.of(y!), type: floatType(y, at), terms },
        at.target,
      );
    },
  };
}

export const linearLowering = sumOfProducts(true);
export const linearDxLowering = sumOfProducts(false);

export const linearDwLowering: Lowering = {
  lower({ inputs: [base, dy, x], outputs: [dw], attributes: { scale } }, at): Dispatch[] {
    const term: Term = {
      x: leftFactor(dy!, at, false),
      w: rightFactor(x!, at, false),
      depth: rows(x!),
      scale: scale!,
    };
    const shape = { m: columns(dy!), n: columns(x!), first: 0, stride: columns(x!) };
    const out = { ...baseOf(base, at), y: at.of(dw!), type: floatType(dw, at) };
    return productDispatches({ ...shape, ...out, terms: [term] }, at.target);
  },
};
