import { randomStream } from '../../data/random.js';

/*
 * Singular triplets of an upper bidiagonal matrix B [n, n], d on its diagonal and e above it. They are eigenpairs of the
 * tridiagonal matrix T [2n, 2n] with 0 on its diagonal and d_0, e_0, d_1, e_1, ... beside it (Golub and Kahan 1965): to
 * each singular value s belongs (v_0, u_0, v_1, u_1, ...), and -s mirrors it. Values are found by bisection, vectors by
 * inverse iteration (Wilkinson), both halves of which are held orthogonal to those of the vectors before it: so vectors are
 * orthonormal in clusters too, and where s is 0.
 */

/** Which end of the singular values, in descending order. */
export type End = 'first' | 'last';

export interface Triplets {
  /** Descending. */
  readonly values: Float64Array;
  /** u and v of each value, of length 1. */
  readonly left: Float64Array[];
  readonly right: Float64Array[];
}

const EPSILON = 2 ** -52;
const SMALLEST = 2 ** -1022;
/** Of halving an interval; 2^-64 of the largest value is nothing beside rounding. */
const MOST_HALVINGS = 110;

/** The `count` first, or last, singular triplets of B. */
export function bidiagonalTriplets(d: Float64Array, e: Float64Array, which: End, count: number): Triplets {
  const beside = interleaved(d, e);
  const bound = boundOf(beside);
  const places = Array.from({ length: count }, (_, i) => (which === 'first' ? i : d.length - 1 - i));
  const values = singularValues(beside, bound, places);
  const iteration = new InverseIteration(beside, bound);
  values.forEach((value, i) => {
    iteration.add(value, places[i]!);
  });
  const { left, right } = iteration;
  const order = which === 'first' ? places.map((_, i) => i) : places.map((_, i) => count - 1 - i);
  return {
    values: Float64Array.from(order, (i) => values[i]!),
    left: order.map((i) => left[i]!),
    right: order.map((i) => right[i]!),
  };
}

/** What is beside the diagonal of T: [2n - 1]. */
function interleaved(d: Float64Array, e: Float64Array): Float64Array {
  const beside = new Float64Array(2 * d.length - 1);
  d.forEach((value, i) => {
    beside[2 * i] = value;
    if (i < e.length) beside[2 * i + 1] = e[i]!;
  });
  return beside;
}

/** No singular value is above it (Gershgorin); 1 for a matrix of zeros. */
function boundOf(beside: Float64Array): number {
  let most = Math.abs(beside[0]!);
  for (let i = 1; i < beside.length; i++)
    most = Math.max(most, Math.abs(beside[i - 1]!) + Math.abs(beside[i]!));
  return most === 0 ? 1 : most * (1 + 4 * EPSILON);
}

/** Singular values by their places in descending order. */
function singularValues(beside: Float64Array, bound: number, places: readonly number[]): number[] {
  const squares = beside.map((value) => value * value);
  const floor = bound * 2 ** -64;
  return places.map((place) => {
    let [low, high] = [0, bound];
    for (let i = 0; i < MOST_HALVINGS && high - low > EPSILON * high + floor; i++) {
      const middle = (low + high) / 2;
      if (countFrom(squares, middle) > place) low = middle;
      else high = middle;
    }
    return low === 0 && high <= 2 * floor ? 0 : (low + high) / 2;
  });
}

/** How many singular values are at least x > 0: Sturm's count, of the positive pivots of T - x. */
function countFrom(squares: Float64Array, x: number): number {
  const least = SMALLEST / EPSILON;
  let pivot = -x;
  let count = 0;
  for (let i = 0; i < squares.length; i++) {
    if (Math.abs(pivot) < least) pivot = -least;
    pivot = -x - squares[i]! / pivot;
    if (pivot >= 0) count++;
  }
  return count;
}

/** Of the residuals of a vector over the largest singular value, in units of EPSILON sqrt(n). */
const RESIDUAL = 8;
const MOST_ITERATIONS = 12;
/**
 * Iterations after which the shift goes aside, so far in units of EPSILON of the largest value: at the very value, rounding may have
 * one vector of a cluster grow 1e16 times faster than the others, which are then nothing beside it.
 */
const PATIENCE = 4;
const ASIDE = 2;
/** A vector that keeps less than this of its length has to be projected once more. */
const KEPT = 0.7;
/** What is left of a vector in the span of those before it. */
const NOTHING = 1e-10;

class InverseIteration {
  readonly left: Float64Array[] = [];
  readonly right: Float64Array[] = [];
  readonly #beside: Float64Array;
  readonly #bound: number;
  readonly #solver: ShiftedSolver;
  /** Numbers drawn so far. */
  #drawn = 0;

  constructor(beside: Float64Array, bound: number) {
    this.#beside = beside;
    this.#bound = bound;
    this.#solver = new ShiftedSolver(beside, bound);
  }

  /** Finds the vectors of a value. */
  add(value: number, place: number): void {
    const n = (this.#beside.length + 1) / 2;
    const random = randomStream(place, 0);
    this.#drawn = 0;
    const draw = () => random(this.#drawn++) / 2 ** 31 - 1;
    const [u, v] = [Float64Array.from({ length: n }, draw), Float64Array.from({ length: n }, draw)];
    this.#solver.factor(value);
    const enough = RESIDUAL * EPSILON * Math.sqrt(n) * this.#bound;
    for (let i = 0; i < MOST_ITERATIONS; i++) {
      if (i === PATIENCE) this.#solver.factor(value + ASIDE * EPSILON * this.#bound);
      this.#solver.solve(v, u);
      normalise(v, this.right, draw);
      normalise(u, this.left, draw);
      if (i > 0 && this.#residual(value, u, v) <= enough) break;
    }
    this.left.push(u);
    this.right.push(v);
  }

  /** The larger one of |B v - s u| and |B^T u - s v|. */
  #residual(value: number, u: Float64Array, v: Float64Array): number {
    const beside = this.#beside;
    let [ofLeft, ofRight] = [0, 0];
    for (let i = 0; i < u.length; i++) {
      const d = beside[2 * i]!;
      const e = i + 1 < u.length ? beside[2 * i + 1]! * v[i + 1]! : 0;
      const before = i > 0 ? beside[2 * i - 1]! * u[i - 1]! : 0;
      ofLeft += (d * v[i]! + e - value * u[i]!) ** 2;
      ofRight += (d * u[i]! + before - value * v[i]!) ** 2;
    }
    return Math.sqrt(Math.max(ofLeft, ofRight));
  }
}

/** Projects x on what is orthogonal to `others`, length 1; a fresh x where nothing of it is. */
function normalise(x: Float64Array, others: readonly Float64Array[], draw: () => number): void {
  scale(x, 1 / largest(x));
  let length = norm(x);
  for (let kept = 0; kept < KEPT; ) {
    for (const other of others) addTo(x, other, -dot(x, other));
    const left = norm(x);
    kept = left / length;
    length = left;
    if (kept >= NOTHING) continue;
    for (let i = 0; i < x.length; i++) x[i] = draw();
    length = norm(x);
  }
  scale(x, 1 / length);
}

const norm = (x: Float64Array): number => Math.sqrt(dot(x, x));

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

function addTo(x: Float64Array, y: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i]! += factor * y[i]!;
}

function scale(x: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i]! *= factor;
}

function largest(x: Float64Array): number {
  let most = SMALLEST;
  for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]!));
  return most;
}

/** Solves (T - s) z = (v, u) by Gaussian elimination with partial pivoting; a pivot of 0 becomes the least that counts. */
class ShiftedSolver {
  readonly #beside: Float64Array;
  readonly #least: number;
  /** The upper triangle, three bands, what rows were multiplied with, and whether two were exchanged. */
  readonly #pivots: Float64Array;
  readonly #second: Float64Array;
  readonly #third: Float64Array;
  readonly #factors: Float64Array;
  readonly #exchanged: Uint8Array;
  readonly #z: Float64Array;

  constructor(beside: Float64Array, bound: number) {
    const size = beside.length + 1;
    this.#beside = beside;
    this.#least = EPSILON * bound;
    [this.#pivots, this.#second, this.#third] = [0, 1, 2].map(() => new Float64Array(size)) as [
      ...[Float64Array, Float64Array, Float64Array],
    ];
    this.#factors = new Float64Array(size);
    this.#exchanged = new Uint8Array(size);
    this.#z = new Float64Array(size);
  }

  factor(shift: number): void {
    const [pivots, second, third, factors] = [this.#pivots, this.#second, this.#third, this.#factors];
    const size = pivots.length;
    pivots.fill(-shift);
    second.set(this.#beside);
    third.fill(0);
    second[size - 1] = 0;
    for (let i = 0; i + 1 < size; i++) {
      const below = this.#beside[i]!;
      const swap = Math.abs(below) > Math.abs(pivots[i]!);
      this.#exchanged[i] = Number(swap);
      if (swap) {
        const factor = pivots[i]! / below;
        const [own, next] = [second[i]!, second[i + 1]!];
        [pivots[i], second[i], third[i]] = [below, pivots[i + 1]!, next];
        pivots[i + 1] = own - factor * second[i]!;
        second[i + 1] = -factor * next;
        factors[i] = factor;
      } else {
        pivots[i] = this.#atLeast(pivots[i]!);
        const factor = below / pivots[i]!;
        pivots[i + 1]! -= factor * second[i]!;
        factors[i] = factor;
      }
    }
    pivots[size - 1] = this.#atLeast(pivots[size - 1]!);
  }

  #atLeast(pivot: number): number {
    if (Math.abs(pivot) >= this.#least) return pivot;
    return pivot < 0 ? -this.#least : this.#least;
  }

  /** In place. */
  solve(v: Float64Array, u: Float64Array): void {
    const [z, pivots, second, third] = [this.#z, this.#pivots, this.#second, this.#third];
    for (let i = 0; i < v.length; i++) {
      z[2 * i] = v[i]!;
      z[2 * i + 1] = u[i]!;
    }
    for (let i = 0; i + 1 < z.length; i++) {
      if (this.#exchanged[i]) {
        const own = z[i]!;
        z[i] = z[i + 1]!;
        z[i + 1] = own - this.#factors[i]! * z[i]!;
      } else z[i + 1]! -= this.#factors[i]! * z[i]!;
    }
    let [next, afterNext] = [0, 0];
    for (let i = z.length - 1; i >= 0; i--) {
      const value = (z[i]! - second[i]! * next - third[i]! * afterNext) / pivots[i]!;
      [afterNext, next] = [next, value];
      z[i] = value;
    }
    for (let i = 0; i < v.length; i++) {
      v[i] = z[2 * i]!;
      u[i] = z[2 * i + 1]!;
    }
  }
}
