import { addOne, dot, dotsOfFour, products, subtract } from './blocks';

/*
 * Householder reflectors H_i = I - tau_i v_i v_i^T, kept as LAPACK does: v_i is 0 above row i, 1 there, and below it lies
 * in column i of a matrix. BLOCK of them at once are I - V T V^T (Schreiber and Van Loan 1989), so that most of the work
 * is products of matrices.
 */

export const BLOCK: i32 = 32;

/** The first row of whole steps that holds row `row`, in bytes. */
export const stepOf = (row: i32): usize => <usize>(row & ~7) << 3;

/**
 * Sums of squares below are 0: of weights in f32, whose norm is at least 2^-149, nothing is lost, and where squares lose
 * their last digits a reflector would not be orthogonal.
 */
const NOTHING: f64 = 2.0 ** -900;

/**
 * Makes the reflector that leaves zeros below row `row` of the column `x`, whose rows end at `to`: v is what lies at `v`
 * from the step of `row` on, and below `row` in x, where beta is in row `row`. @returns tau
 */
export function reflect(x: usize, row: i32, to: usize, v: usize): f64 {
  const from = stepOf(row), at = <usize>row << 3;
  const alpha = load<f64>(x + at);
  memory.fill(v + from, 0, at + 8 - from);
  memory.copy(v + at + 8, x + at + 8, to - at - 8);
  const rest = dot(v, v, from, to);
  store<f64>(v + at, 1);
  if (rest < NOTHING) {
    memory.fill(x + at + 8, 0, to - at - 8);
    return 0;
  }
  const norm = sqrt(alpha * alpha + rest);
  const beta = alpha > 0 ? -norm : norm;
  const scale = 1 / (alpha - beta);
  for (let k = at + 8; k < to; k += 8) store<f64>(v + k, load<f64>(v + k) * scale);
  store<f64>(x + at, beta);
  memory.copy(x + at + 8, v + at + 8, to - at - 8);
  return (beta - alpha) / beta;
}

/** Columns c -= tau v (v . c), over rows of whole steps. */
function reflectColumns(v: usize, tau: f64, c: usize, ld: usize, count: i32, from: usize, to: usize, sums: usize): void {
  let j = 0;
  for (; j + 3 < count; j += 4) {
    const column = c + <usize>j * ld;
    dotsOfFour(column, ld, v, from, to, sums);
    for (let i: usize = 0; i < 4; i++) addOne(column + i * ld, v, -tau * load<f64>(sums + (i << 3)), from, to);
  }
  for (; j < count; j++) {
    const column = c + <usize>j * ld;
    addOne(column, v, -tau * dot(column, v, from, to), from, to);
  }
}

/** Copies reflectors `first` to `first + count` to V: their ones and zeros too, and zeros for those up to BLOCK. */
function unpack(a: usize, ld: usize, first: i32, count: i32, to: usize, v: usize): void {
  const from = stepOf(first);
  for (let i = 0; i < BLOCK; i++) {
    const column = v + <usize>i * ld;
    if (i >= count) {
      memory.fill(column + from, 0, to - from);
      continue;
    }
    const row = <usize>(first + i) << 3;
    memory.fill(column + from, 0, row - from);
    store<f64>(column + row, 1);
    if (to > row + 8) memory.copy(column + row + 8, a + <usize>(first + i) * ld + row + 8, to - row - 8);
  }
}

/** T [BLOCK, BLOCK], upper triangular and row by row, of reflectors that lie in V; `gram` has as much room. */
function triangle(v: usize, ld: usize, tau: usize, count: i32, from: usize, to: usize, t: usize, gram: usize): void {
  products(v, ld, BLOCK, v, ld, BLOCK, from, to, gram);
  memory.fill(t, 0, BLOCK * BLOCK * 8);
  for (let j = 0; j < count; j++) {
    const tj = load<f64>(tau + (<usize>j << 3));
    store<f64>(t + (<usize>(j * BLOCK + j) << 3), tj);
    for (let i = 0; i < j; i++) {
      let sum: f64 = 0;
      for (let k = i; k < j; k++) {
        sum += load<f64>(t + (<usize>(i * BLOCK + k) << 3)) * load<f64>(gram + (<usize>(j * BLOCK + k) << 3));
      }
      store<f64>(t + (<usize>(i * BLOCK + j) << 3), -tj * sum);
    }
  }
}

/** w [BLOCK] of one column becomes T w, or T^T w. */
function multiplyTriangle(t: usize, w: usize, transposed: bool): void {
  for (let step = 0; step < BLOCK; step++) {
    // In the order in which each element is read for the last time when it is written.
    const i = transposed ? BLOCK - 1 - step : step;
    let sum: f64 = 0;
    const end = transposed ? i + 1 : BLOCK;
    for (let k = transposed ? 0 : i; k < end; k++) {
      const place = transposed ? k * BLOCK + i : i * BLOCK + k;
      sum += load<f64>(t + (<usize>place << 3)) * load<f64>(w + (<usize>k << 3));
    }
    store<f64>(w + (<usize>i << 3), sum);
  }
}

/** C of `count` columns becomes (I - V T V^T) C, or its transpose times C; w has room for BLOCK numbers a column. */
function applyBlock(
  v: usize, ld: usize, t: usize, c: usize, ldc: usize, count: i32, from: usize, to: usize, w: usize, transposed: bool,
): void {
  products(v, ld, BLOCK, c, ldc, count, from, to, w);
  for (let j = 0; j < count; j++) multiplyTriangle(t, w + <usize>(j * BLOCK * 8), transposed);
  subtract(c, ldc, count, v, ld, BLOCK, w, from, to);
}

/** Bytes of T and of the products it is made of. */
const SQUARE: usize = <usize>(BLOCK * BLOCK) << 3;

/**
 * A [rows, cols] = Q R by blocks, rows >= cols: R is left on and above the diagonal, the reflectors below it. `to`: where
 * rows end, in bytes, whole steps. `work` has room for BLOCK columns, two squares and BLOCK numbers a column of A.
 */
export function factorQr(a: usize, ld: usize, cols: i32, to: usize, tau: usize, work: usize): void {
  const t = work + <usize>BLOCK * ld, gram = t + SQUARE, w = gram + SQUARE;
  for (let first = 0; first < cols; first += BLOCK) {
    const count = min(BLOCK, cols - first), end = first + count;
    for (let j = first; j < end; j++) {
      const column = a + <usize>j * ld;
      const tj = reflect(column, j, to, work);
      store<f64>(tau + (<usize>j << 3), tj);
      reflectColumns(work, tj, column + ld, ld, end - j - 1, stepOf(j), to, w);
    }
    if (end == cols) return;
    const from = stepOf(first);
    unpack(a, ld, first, count, to, work);
    triangle(work, ld, tau + (<usize>first << 3), count, from, to, t, gram);
    applyBlock(work, ld, t, a + <usize>end * ld, ld, cols - end, from, to, w, true);
  }
}

/**
 * C of `columns` columns becomes Q C, Q the product of the `count` reflectors in A, whose i-th begins in row i. `work` has
 * room for BLOCK columns of A, two squares and BLOCK numbers a column of C.
 */
export function applyReflectors(
  a: usize, ld: usize, count: i32, to: usize, tau: usize, c: usize, ldc: usize, columns: i32, work: usize,
): void {
  const t = work + <usize>BLOCK * ld, gram = t + SQUARE, w = gram + SQUARE;
  for (let first = (count - 1) / BLOCK * BLOCK; first >= 0; first -= BLOCK) {
    const size = min(BLOCK, count - first), from = stepOf(first);
    unpack(a, ld, first, size, to, work);
    triangle(work, ld, tau + (<usize>first << 3), size, from, to, t, gram);
    applyBlock(work, ld, t, c, ldc, columns, from, to, w, false);
  }
}
