import { Bidiagonalised } from '../../wasm/svd.js';
import { bidiagonalTriplets } from '../starts/bidiagonal.js';

/** What a LoRA adapter has made of a weight W [out, in] so far: dW = s (B A - B0 A0). */
export interface Change {
  readonly out: number;
  readonly inputs: number;
  readonly rank: number;
  /** s */
  readonly scale: number;
  /** [rank, in] and [out, rank], row by row. */
  readonly a: Float32Array;
  readonly b: Float32Array;
  /** What is taken away, where the adapter began with singular vectors. */
  readonly a0?: Float32Array;
  readonly b0?: Float32Array;
}

/** Singular vectors of W, orthonormal: left ones [out] each, right ones [in] each. */
export interface Subspaces {
  readonly left: readonly ArrayLike<number>[];
  readonly right: readonly ArrayLike<number>[];
}

export interface ChangeFacts {
  /** Frobenius norm of dW. */
  readonly norm: number;
  /** |dW|_F^2 / |dW|_2^2, from 1 up to the rank of dW; NaN where dW is 0. */
  readonly stableRank: number;
  /** Shares of |dW|_F^2 in what each of the subspaces spans: |U^T dW|_F^2 and |dW V|_F^2 over it; NaN where dW is 0. */
  readonly alignments: readonly { readonly left: number; readonly right: number }[];
}

/**
 * Norm, stable rank and alignment of dW, which is never formed: with L R^T = dW of rank k, L = Q_L R_L and R = Q_R R_R, all
 * of it is in the core R_L R_R^T [k, k]. In f64; the cost is O((out + in) k^2) and O((out + in) k) for each vector.
 */
export function changeFacts(change: Change, subspaces: readonly Subspaces[]): ChangeFacts {
  const [left, right] = factorsOf(change).map(orthogonalised) as [Orthogonalised, Orthogonalised];
  const core = left.coefficients.map((row) => right.coefficients.map((other) => dot(row, other)));
  const squares = core.reduce((sum, row) => sum + dot(row, row), 0);
  const largest = largestValue(core);
  const transposed = core.map((_, j) => core.map((row) => row[j]!));
  return {
    norm: Math.sqrt(squares),
    stableRank: squares / largest ** 2,
    alignments: subspaces.map((space) => ({
      left: share(space.left, left.basis, transposed) / squares,
      right: share(space.right, right.basis, core) / squares,
    })),
  };
}

type Vector = ArrayLike<number>;

/**
 * Columns of L [out] and R [in]. B A - B0 A0 = (B - B0) A + B0 (A - A0): differences of f32 numbers are exact in f64, so that
 * nothing of a dW is lost that is small beside B A.
 */
function factorsOf({ out, inputs, rank, scale, a, b, a0, b0 }: Change): [Float64Array[], Float64Array[]] {
  const ranks = Array.from({ length: rank }, (_, k) => k);
  const column = (k: number, of: (at: number) => number) =>
    Float64Array.from({ length: out }, (_, i) => scale * of(i * rank + k));
  const row = (k: number, of: (at: number) => number) =>
    Float64Array.from({ length: inputs }, (_, j) => of(k * inputs + j));
  if (!a0 || !b0)
    return [ranks.map((k) => column(k, (at) => b[at]!)), ranks.map((k) => row(k, (at) => a[at]!))];
  return [
    [
      ...ranks.map((k) => column(k, (at) => b[at]! - b0[at]!)),
      ...ranks.map((k) => column(k, (at) => b0[at]!)),
    ],
    [...ranks.map((k) => row(k, (at) => a[at]!)), ...ranks.map((k) => row(k, (at) => a[at]! - a0[at]!))],
  ];
}

/** Columns x_j = sum_i basis_i coefficients_i[j]: a QR factorisation. */
interface Orthogonalised {
  /** Orthonormal; 0 for a column that those before it span. */
  readonly basis: readonly Float64Array[];
  readonly coefficients: readonly Float64Array[];
}

/** Less than this share of a column is rounding. */
const ROUNDING = 1e-14;

/** Gram and Schmidt's, twice (Giraud et al. 2005). */
function orthogonalised(columns: readonly Float64Array[]): Orthogonalised {
  const basis: Float64Array[] = [];
  const coefficients = columns.map(() => new Float64Array(columns.length));
  columns.forEach((column, j) => {
    const rest = column.slice();
    for (let pass = 0; pass < 2; pass++) {
      basis.forEach((q, i) => {
        const part = dot(q, rest);
        coefficients[i]![j]! += part;
        for (let k = 0; k < rest.length; k++) rest[k]! -= part * q[k]!;
      });
    }
    const length = norm(rest);
    const counts = length > ROUNDING * norm(column);
    coefficients[j]![j] = counts ? length : 0;
    basis.push(rest.map((x) => (counts ? x / length : 0)));
  });
  return { basis, coefficients };
}

/** |(vectors^T basis) M|_F^2, with M by its columns. */
function share(vectors: readonly Vector[], basis: readonly Vector[], columns: readonly Vector[]): number {
  return vectors.reduce((sum, vector) => {
    const along = basis.map((q) => dot(q, vector));
    return sum + columns.reduce((squares, column) => squares + dot(along, column) ** 2, 0);
  }, 0);
}

function largestValue(rows: readonly Vector[]): number {
  const { diagonal, above } = new Bidiagonalised(rows.length, rows.length, 1, (column, j) =>
    column.set(rows[j]!),
  );
  return bidiagonalTriplets(diagonal, above, 'first', 1).values[0]!;
}

function dot(x: Vector, y: Vector): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

const norm = (x: Vector): number => Math.sqrt(dot(x, x));
