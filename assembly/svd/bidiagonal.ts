import { addFour, addOne, dot, dotsOfFour, subtract } from './blocks';
import { BLOCK, reflect, stepOf } from './reflectors';

/*
 * A = Q B P^T, B upper bidiagonal (Golub and Kahan 1965), by blocks of BLOCK columns: within a block, what is left of A is
 * A - V Y^T - X U^T, and A is read once a column for both A^T v and A u, as Howell et al. (2008) do; then the block is
 * subtracted. Left reflectors v_i stay below the diagonal of A. Right ones, u_i, which begin in row i + 1, go to `right`.
 */

/** Where things lie; addresses and bytes. */
let a: usize = 0;
let ld: usize = 0;
let cols: i32 = 0;
/** Where rows of A, and of `right`, end. */
let to: usize = 0;
let toRight: usize = 0;
/** Columns V, then X, [2 BLOCK, rows]; Y, then U of each column, [cols, 2 BLOCK]. */
let vx: usize = 0;
let yu: usize = 0;
/** The row at hand of A [cols], and A times it [rows]. */
let row: usize = 0;
let image: usize = 0;
/** For V, then X, 2 BLOCK numbers each, 0 where there is none yet: their products with v; their elements in row i. */
let products: usize = 0;
let elements: usize = 0;
/** What a few columns are multiplied with. */
let few: usize = 0;

const YU_BYTES: usize = <usize>(2 * BLOCK) << 3;

// @ts-ignore: decorator
@inline
function number(base: usize, i: i32): f64 {
  return load<f64>(base + (<usize>i << 3));
}

// @ts-ignore: decorator
@inline
function keep(base: usize, i: i32, value: f64): void {
  store<f64>(base + (<usize>i << 3), value);
}

/** Brings column i up to date: A - V Y^T - X U^T. */
function renewColumn(i: i32, done: i32): void {
  const column = a + <usize>i * ld, from = stepOf(i), mine = yu + <usize>i * YU_BYTES;
  for (let b = 0; b < done; b++) {
    addOne(column, vx + <usize>b * ld, -number(mine, b), from, to);
    addOne(column, vx + <usize>(BLOCK + b) * ld, -number(mine, BLOCK + b), from, to);
  }
}

/** From a_j . v: y_j, and element (i, j) of what is left of A once v has been applied, which is in `row` then. */
function finishColumn(i: i32, j: i32, product: f64, tau: f64, done: i32): void {
  const mine = yu + <usize>j * YU_BYTES;
  const y = tau * (product - dot(mine, products, 0, YU_BYTES));
  keep(row, j, number(a + <usize>j * ld, i) - dot(mine, elements, 0, YU_BYTES) - y);
  keep(mine, done, y);
}

/** The pass over A: y = tau A^T v, row i, and the sum of its elements times columns, in `image`. */
function pass(i: i32, v: usize, tau: f64, done: i32): void {
  const from = stepOf(i);
  memory.fill(products, 0, 2 * YU_BYTES);
  for (let b = 0; b < 2 * BLOCK; b += BLOCK) {
    for (let k = b; k < b + done; k++) {
      const column = vx + <usize>k * ld;
      keep(products, k, dot(column, v, from, to));
      keep(elements, k, number(column, i));
    }
  }
  memory.fill(image + from, 0, to - from);
  let j = i + 1;
  for (; j + 3 < cols; j += 4) {
    const column = a + <usize>j * ld;
    dotsOfFour(column, ld, v, from, to, few);
    for (let k = 0; k < 4; k++) finishColumn(i, j + k, number(few, k), tau, done);
    addFour(image, column, ld, row + (<usize>j << 3), from, to);
  }
  for (; j < cols; j++) {
    const column = a + <usize>j * ld;
    finishColumn(i, j, dot(column, v, from, to), tau, done);
    addOne(image, column, number(row, j), from, to);
  }
}

/**
 * From the reflector u of row i: x = tau A u. A g is known, and u = (g - beta e) / (g_first - beta), e and g beginning at
 * column i + 1.
 */
function finishRow(i: i32, u: usize, alpha: f64, beta: f64, tau: f64, done: i32): void {
  const x = vx + <usize>(BLOCK + done) * ld, from = stepOf(i + 1), start = <usize>(i + 1) << 3;
  memory.fill(x + from, 0, to - from);
  memory.fill(few, 0, YU_BYTES);
  for (let j = i + 1; j < cols; j++) {
    const mine = yu + <usize>j * YU_BYTES, uj = number(u, j);
    addOne(few, mine, uj, 0, YU_BYTES);
    keep(mine, BLOCK + done, uj);
  }
  if (tau == 0) return;
  const scale = 1 / (alpha - beta), next = a + <usize>(i + 1) * ld;
  for (let k = start; k < to; k += 8) store<f64>(x + k, (load<f64>(image + k) - beta * load<f64>(next + k)) * scale);
  for (let b = 0; b <= done; b++) addOne(x, vx + <usize>b * ld, -number(few, b), from, to);
  for (let b = BLOCK; b < BLOCK + done; b++) addOne(x, vx + <usize>b * ld, -number(few, b), from, to);
  for (let k = from; k < to; k += 8) store<f64>(x + k, k < start ? 0 : tau * load<f64>(x + k));
}

/**
 * @param a0 A [rows, cols], rows >= cols, column by column, `ld0` bytes apart; rows end at `to0`
 * @param d diagonal [cols] @param e above it [cols - 1]; taus as many
 * @param right [cols, cols - 1], its columns `ldRight` bytes apart
 * @param work 2 BLOCK + 1 columns of A, and of 2 BLOCK numbers: one for each column of A, 3 more, and a row of A; all 0
 */
export function bidiagonalise(
  a0: usize, ld0: usize, cols0: i32, to0: usize, d: usize, e: usize, tauLeft: usize, tauRight: usize, right: usize,
  ldRight: usize, work: usize,
): void {
  a = a0; ld = ld0; cols = cols0; to = to0;
  toRight = <usize>(cols + 7 & ~7) << 3;
  vx = work;
  image = vx + <usize>(2 * BLOCK) * ld;
  yu = image + ld;
  products = yu + <usize>cols * YU_BYTES;
  elements = products + YU_BYTES;
  few = elements + YU_BYTES;
  row = few + YU_BYTES;
  for (let first = 0; first < cols; first += BLOCK) {
    const end = min(first + BLOCK, cols);
    for (let i = first; i < end; i++) {
      const done = i - first, column = a + <usize>i * ld, v = vx + <usize>done * ld;
      renewColumn(i, done);
      const tau = reflect(column, i, to, v);
      keep(tauLeft, i, tau);
      keep(d, i, number(column, i));
      if (i + 1 == cols) return;
      pass(i, v, tau, done);
      const alpha = number(row, i + 1), u = right + <usize>i * ldRight;
      const tauU = reflect(row, i + 1, toRight, u);
      keep(tauRight, i, tauU);
      keep(e, i, number(row, i + 1));
      finishRow(i, u, alpha, number(row, i + 1), tauU, done);
    }
    subtract(a + <usize>end * ld, ld, cols - end, vx, ld, 2 * BLOCK, yu + <usize>end * YU_BYTES, stepOf(end), to);
  }
}
