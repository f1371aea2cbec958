import { compileWasm } from './module.js';

interface SvdModule {
  readonly memory: WebAssembly.Memory;
  heapBase(): number;
  factorQr(a: number, ld: number, cols: number, to: number, tau: number, work: number): void;
  bidiagonalise(
    ...args: [
      ...[a: number, ld: number, cols: number, to: number, d: number, e: number],
      ...[tauLeft: number, tauRight: number, right: number, ldRight: number, work: number],
    ]
  ): void;
  applyReflectors(
    ...args: [
      ...[a: number, ld: number, count: number, to: number, tau: number],
      ...[c: number, ldc: number, columns: number, work: number],
    ]
  ): void;
}

const PAGE_BYTES = 65536;
/** Rows that the kernels take at once. */
const STEP = 8;
/** assembly/svd/reflectors.ts: BLOCK. */
const BLOCK = 32;
/** From so many rows for each column on, a QR factorisation first is less work. */
const TALL = 1.5;

/** Bytes that `n` rows take in whole steps. */
const end = (n: number): number => 8 * STEP * Math.ceil(n / STEP);

/**
 * Bytes from column to column: one step more, since right reflectors lie a row lower, and an odd number of cache lines,
 * so that columns don't meet in the same places of a cache.
 */
const stride = (n: number): number => 64 * (Math.ceil(n / STEP) + (Math.ceil(n / STEP) % 2 === 0 ? 1 : 2));

/** Addresses of what a matrix's decomposition needs, and the bytes of all of it. */
function layOut(base: number, rows: number, cols: number, vectors: number) {
  const isTall = rows >= TALL * cols;
  const height = isTall ? cols : rows;
  const [ld, ldSquare] = [stride(rows), stride(cols)];
  const workColumns = (2 * BLOCK + 1) * ld + 8 * (2 * BLOCK + 1) * cols;
  const sizes = {
    whole: cols * ld,
    square: isTall ? cols * ldSquare : 0,
    right: cols * ldSquare,
    vectors: vectors * ld,
    tauWhole: end(cols),
    tauLeft: end(cols),
    tauRight: end(cols),
    d: end(cols),
    e: end(cols),
    work: workColumns + 8 * BLOCK * (2 * BLOCK + 6 + vectors) + ldSquare,
  };
  let at = Math.ceil(base / 64) * 64;
  const addresses = {} as Record<keyof typeof sizes, number>;
  for (const [name, size] of Object.entries(sizes)) {
    addresses[name as keyof typeof sizes] = at;
    at += Math.ceil(size / 64) * 64;
  }
  return { ...addresses, isTall, height, ld, ldSquare, bytes: at };
}

type Layout = ReturnType<typeof layOut>;

/** Bytes that the decomposition of a matrix [rows, cols], rows >= cols, takes. */
export const bidiagonalisedBytes = (rows: number, cols: number, vectors: number): number =>
  layOut(0, rows, cols, vectors).bytes;

/** Vectors as they come from the bidiagonal matrix, one after the other. */
type Vectors = readonly Float64Array[];

/**
 * A matrix M [rows, cols], rows >= cols, as Q B P^T, B upper bidiagonal and Q, P orthogonal, in f64: of a tall one first
 * M = Q R (Golub and Kahan 1965, Chan 1982).
 */
export class Bidiagonalised {
  /** B's diagonal [cols], and what is above it [cols - 1]. */
  readonly diagonal: Float64Array;
  readonly above: Float64Array;
  readonly #wasm: SvdModule;
  readonly #at: Layout;
  readonly #rows: number;
  readonly #cols: number;

  /**
   * @param fill is given what M's columns go to, one by one: [rows] each
   * @param vectors the most that `left` and `right` are asked for
   */
  constructor(rows: number, cols: number, vectors: number, fill: (column: Float64Array, j: number) => void) {
    const wasm = new WebAssembly.Instance(compileWasm('svd')).exports as SvdModule;
    const at = layOut(wasm.heapBase(), rows, cols, vectors);
    const missing = at.bytes - wasm.memory.buffer.byteLength;
    if (missing > 0) wasm.memory.grow(Math.ceil(missing / PAGE_BYTES));
    [this.#wasm, this.#at, this.#rows, this.#cols] = [wasm, at, rows, cols];
    for (let j = 0; j < cols; j++) fill(this.#view(at.whole + j * at.ld, rows), j);
    if (at.isTall) this.#factor();
    const [a, ld] = this.#square;
    const { d, e, tauLeft, tauRight, right, ldSquare, work } = at;
    this.#clear(work, at.bytes - work);
    wasm.bidiagonalise(a, ld, cols, end(at.height), d, e, tauLeft, tauRight, right, ldSquare, work);
    this.diagonal = this.#view(d, cols).slice();
    this.above = this.#view(e, cols - 1).slice();
  }

  /** Q x for each x [cols], [rows] each. */
  left(vectors: Vectors): Float64Array[] {
    const { vectors: c, ld: ldc, tauLeft, tauWhole, whole, work, isTall, height } = this.#at;
    const [a, ld] = this.#square;
    this.#put(vectors);
    this.#wasm.applyReflectors(a, ld, this.#cols, end(height), tauLeft, c, ldc, vectors.length, work);
    if (isTall) {
      this.#wasm.applyReflectors(
        ...([whole, ldc, this.#cols, end(this.#rows), tauWhole, c, ldc, vectors.length, work] as const),
      );
    }
    return this.#take(vectors.length, this.#rows);
  }

  /** P x for each x [cols], [cols] each. */
  right(vectors: Vectors): Float64Array[] {
    const { vectors: c, ld: ldc, tauRight, right, ldSquare, work } = this.#at;
    this.#put(vectors);
    // From the second row on, they lie as left reflectors do.
    const to = end(this.#cols - 1);
    this.#wasm.applyReflectors(
      ...([right + 8, ldSquare, this.#cols - 1, to, tauRight, c + 8, ldc, vectors.length, work] as const),
    );
    return this.#take(vectors.length, this.#cols);
  }

  /** Where the matrix is that is bidiagonalised: R, or M itself. */
  get #square(): readonly [address: number, ld: number] {
    const { isTall, square, whole, ld, ldSquare } = this.#at;
    return isTall ? [square, ldSquare] : [whole, ld];
  }

  #factor(): void {
    const { whole, ld, square, ldSquare, tauWhole, work } = this.#at;
    this.#wasm.factorQr(whole, ld, this.#cols, end(this.#rows), tauWhole, work);
    for (let j = 0; j < this.#cols; j++) {
      this.#view(square + j * ldSquare, j + 1).set(this.#view(whole + j * ld, j + 1));
    }
  }

  #put(vectors: Vectors): void {
    const { vectors: at, ld } = this.#at;
    this.#clear(at, vectors.length * ld);
    vectors.forEach((vector, i) => {
      this.#view(at + i * ld, vector.length).set(vector);
    });
  }

  #take(count: number, length: number): Float64Array[] {
    const { vectors: at, ld } = this.#at;
    return Array.from({ length: count }, (_, i) => this.#view(at + i * ld, length).slice());
  }

  #clear(address: number, bytes: number): void {
    new Uint8Array(this.#wasm.memory.buffer, address, bytes).fill(0);
  }

  #view(address: number, length: number): Float64Array {
    return new Float64Array(this.#wasm.memory.buffer, address, length);
  }
}
