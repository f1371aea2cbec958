// y = [base + bias +] sum over one or two terms of scale X W, summed in f32; X1, X2, B (base), Y f32 or f16; X [m, depth], W [depth, n], y [m, n]:
//   linear     y  = base + bias + scale x W^T   X = x [T, in] as stored,        W = weight [out, in] transposed
//   linear_dx  dx = base + scale dy W    X = dy [T, out] as stored,      W = weight [out, in] as stored
//   linear_dw  dw = base + scale dy^T x  X = dy [T, out] transposed,     W = x [T, in] as stored
// Weights are words: one f32, or two bf16 / f16 (the first in the low half).
// One workgroup computes a TILE_M x TILE_N tile of y, each thread 8 x 8 of it, over k in steps of TILE_K in order:
// first term 1, then term 2, then bias [n], then base. Grid: (ceil(n / TILE_N), ceil(m / TILE_M)). y is written (=), not added to;
// with base = IN_PLACE, it is what y holds (+=).
const REGISTERS: u32 = 8;
override TILE_M: u32 = 64;
override TILE_N: u32 = 64;
override TILE_K: u32 = 16;
override THREADS_N: u32 = TILE_N / REGISTERS;
override THREADS: u32 = THREADS_N * (TILE_M / REGISTERS);
// Odd strides, so that threads that store along k hit different banks.
override STRIDE_X: u32 = TILE_M + 1;
override STRIDE_W: u32 = TILE_N + 1;

const F32: u32 = 0;
const BF16: u32 = 1;
override DTYPE_1: u32 = F32;
override DTYPE_2: u32 = F32;

// Which index is contiguous in storage: k, or m for X and n for W.
override X_ALONG_K: bool = true;
override W_ALONG_K: bool = true;

// Whether there is a base, and where: NONE (0), or
const SEPARATE: u32 = 1;
const IN_PLACE: u32 = 2;

struct Term {
  // First element of X in x, and elements from one row of storage to the next.
  x_first: u32,
  x_stride: u32,
  w_stride: u32,
  depth: u32,
  @size(16) scale: f32,
}

struct Shape {
  m: u32,
  n: u32,
  y_first: u32,
  y_stride: u32,
  base: u32,
  term_count: u32,
  // 0 for none, else 1 + the column of the bias that belongs to column 0 of y.
  @size(8) bias: u32,
  terms: array<Term, 2>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> base: array<B>;
@group(0) @binding(2) var<storage, read> x_1: array<X1>;
@group(0) @binding(3) var<storage, read> w_1: array<u32>;
@group(0) @binding(4) var<storage, read> x_2: array<X2>;
@group(0) @binding(5) var<storage, read> w_2: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<Y>;

var<workgroup> tile_x: array<f32, TILE_K * STRIDE_X>;
var<workgroup> tile_w: array<f32, TILE_K * STRIDE_W>;

struct Place {
  thread: u32,
  // First row and column of the tile.
  row: u32,
  column: u32,
}

alias Sums = array<f32, REGISTERS * REGISTERS>;

fn half_element(word: u32, index: u32, dtype: u32) -> f32 {
  let high = index % 2 == 1;
  if (dtype == BF16) {
    return bitcast<f32>(select(word << 16, word & 0xffff0000, high));
  }
  let pair = unpack2x16float(word);
  return select(pair.x, pair.y, high);
}

fn w_element(second: bool, index: u32) -> f32 {
  if (second) {
    if (DTYPE_2 == F32) {
      return bitcast<f32>(w_2[index]);
    }
    return half_element(w_2[index / 2], index, DTYPE_2);
  }
  if (DTYPE_1 == F32) {
    return bitcast<f32>(w_1[index]);
  }
  return half_element(w_1[index / 2], index, DTYPE_1);
}

fn x_element(second: bool, index: u32) -> f32 {
  if (second) {
    return f32(x_2[index]);
  }
  return f32(x_1[index]);
}

fn load_x(second: bool, term: Term, place: Place, from_k: u32) {
  for (var i = place.thread; i < TILE_M * TILE_K; i += THREADS) {
    let along_k = vec2u(i / TILE_K, i % TILE_K);
    let at = select(vec2u(i % TILE_M, i / TILE_M), along_k, X_ALONG_K);
    let m = place.row + at.x;
    let k = from_k + at.y;
    var value = 0.0;
    if (m < shape.m && k < term.depth) {
      let along = select(k * term.x_stride + m, m * term.x_stride + k, X_ALONG_K);
      value = term.scale * x_element(second, term.x_first + along);
    }
    tile_x[at.y * STRIDE_X + at.x] = value;
  }
}

fn load_w(second: bool, term: Term, place: Place, from_k: u32) {
  for (var i = place.thread; i < TILE_N * TILE_K; i += THREADS) {
    let along_k = vec2u(i / TILE_K, i % TILE_K);
    let at = select(vec2u(i % TILE_N, i / TILE_N), along_k, W_ALONG_K);
    let n = place.column + at.x;
    let k = from_k + at.y;
    var value = 0.0;
    if (n < shape.n && k < term.depth) {
      value = w_element(second, select(k * term.w_stride + n, n * term.w_stride + k, W_ALONG_K));
    }
    tile_w[at.y * STRIDE_W + at.x] = value;
  }
}

fn multiply_tiles(place: Place, sums: ptr<function, Sums>) {
  let first_x = place.thread / THREADS_N * REGISTERS;
  let first_w = place.thread % THREADS_N;
  for (var k = 0u; k < TILE_K; k++) {
    var a: array<f32, REGISTERS>;
    var b: array<f32, REGISTERS>;
    for (var i = 0u; i < REGISTERS; i++) {
      a[i] = tile_x[k * STRIDE_X + first_x + i];
      b[i] = tile_w[k * STRIDE_W + first_w + i * THREADS_N];
    }
    for (var i = 0u; i < REGISTERS; i++) {
      for (var j = 0u; j < REGISTERS; j++) {
        sums[i * REGISTERS + j] = fma(a[i], b[j], sums[i * REGISTERS + j]);
      }
    }
  }
}

@compute @workgroup_size(THREADS)
fn linear(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let place = Place(thread, group.y * TILE_M, group.x * TILE_N);
  var sums: Sums;
  for (var i = 0u; i < shape.term_count; i++) {
    let term = shape.terms[i];
    for (var k = 0u; k < term.depth; k += TILE_K) {
      load_x(i == 1, term, place, k);
      load_w(i == 1, term, place, k);
      workgroupBarrier();
      multiply_tiles(place, &sums);
      workgroupBarrier();
    }
  }
  for (var i = 0u; i < REGISTERS; i++) {
    for (var j = 0u; j < REGISTERS; j++) {
      let row = place.row + thread / THREADS_N * REGISTERS + i;
      let column = place.column + thread % THREADS_N + j * THREADS_N;
      if (row >= shape.m || column >= shape.n) {
        continue;
      }
      let at = shape.y_first + row * shape.y_stride + column;
      var sum = sums[i * REGISTERS + j];
      if (shape.bias > 0) {
        sum += bias[shape.bias - 1 + column];
      }
      if (shape.base == SEPARATE) {
        sum += f32(base[at]);
      } else if (shape.base == IN_PLACE) {
        sum += f32(y[at]);
      }
      y[at] = Y(sum);
    }
  }
}
