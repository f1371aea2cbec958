// What the kernels of linear*.wgsl share: the operands of
//   y [m, n] = [base + bias +] scale * sum over one or two terms of scale_i X W,   X [m, depth], W [depth, n]
//   linear     X = x [T, in] as stored,          W = weight [out, in] transposed
//   linear_dx  X = dy [T, out] as stored,        W = weight [out, in] as stored
//   linear_dw  X = dy [T, out] transposed,       W = x [T, in] as stored
// X and W are f32, bf16 or f16 (by _DTYPE) and contiguous along k (_ALONG_K), or along m and n. They are bound as words:
// X1, W1, X2, W2 stand for u32, or for vec4u where an operand is _WIDE: then its rows begin at multiples of eight
// elements and hold a multiple of eight, so that eight of them are one vector of halves, or two of f32.
// B (base) and Y are f32 or f16. y is written (=), not added to; with base = IN_PLACE, it is what y holds (+=).
// Kernels compute tiles of TILE_M x TILE_N, k in steps of TILE_K in order: first term 1, then term 2.
// Where rows of y have labels, tiles of rows that all have a negative one are not computed: their sums are 0.
// A deep sum of one term may be cut into slices of k, one for each layer of the grid (z): y is then [slices, m, n].

const F32: u32 = 0;
const BF16: u32 = 1;

// An operand is a side of a term.
const X: u32 = 0;
const W: u32 = 1;

// Whether there is a base, and where: NONE (0), or
const SEPARATE: u32 = 1;
const IN_PLACE: u32 = 2;

struct Term {
  // First element of X in x, and elements from one row of storage to the next.
  x_first: u32,
  x_stride: u32,
  w_stride: u32,
  depth: u32,
  scale: f32,
  // Of a slice; a multiple of TILE_K, or as large as can be.
  @size(12) slice_depth: u32,
}

struct Shape {
  m: u32,
  n: u32,
  y_first: u32,
  y_stride: u32,
  base: u32,
  term_count: u32,
  // 0 for none, else 1 + the column of the bias that belongs to column 0 of y.
  bias: u32,
  scale: f32,
  terms: array<Term, 2>,
  // 0 for none, else 1 + the label that belongs to row 0 of y.
  labels: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> base: array<B>;
@group(0) @binding(2) var<storage, read> x_1: array<X1>;
@group(0) @binding(3) var<storage, read> w_1: array<W1>;
@group(0) @binding(4) var<storage, read> x_2: array<X2>;
@group(0) @binding(5) var<storage, read> w_2: array<W2>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<Y>;
@group(0) @binding(8) var<storage, read> labels: array<i32>;

// Whether a term is the second one; known when compiled, where there is but one.
fn is_second(term: u32) -> bool {
  return TERMS > 1 && term == 1;
}

fn dtype_of(side: u32, term: u32) -> u32 {
  if (side == X) {
    return select(X1_DTYPE, X2_DTYPE, is_second(term));
  }
  return select(W1_DTYPE, W2_DTYPE, is_second(term));
}

fn is_wide(side: u32, term: u32) -> bool {
  if (side == X) {
    return select(X1_WIDE, X2_WIDE, is_second(term)) == 1;
  }
  return select(W1_WIDE, W2_WIDE, is_second(term)) == 1;
}

// Element i of what is bound: four words, or one, which is then in x.
fn words(side: u32, term: u32, i: u32) -> vec4u {
  if (side == X) {
    if (is_second(term)) {
      return vec4u(x_2[i]);
    }
    return vec4u(x_1[i]);
  }
  if (is_second(term)) {
    return vec4u(w_2[i]);
  }
  return vec4u(w_1[i]);
}

fn pair_of(word: u32, dtype: u32) -> vec2f {
  if (dtype == BF16) {
    return bitcast<vec2f>(vec2u(word << 16, word & 0xffff0000));
  }
  return unpack2x16float(word);
}

// Element i of an operand that is not wide.
fn element(side: u32, term: u32, i: u32) -> f32 {
  let dtype = dtype_of(side, term);
  if (dtype == F32) {
    return bitcast<f32>(words(side, term, i).x);
  }
  return pair_of(words(side, term, i / 2).x, dtype)[i % 2];
}

// Eight consecutive elements: halves as stored, all in `low`, or f32.
struct Eight {
  low: vec4u,
  high: vec4u,
}

// Whether an operand's eights are halves. Those of operands that are not wide are converted when they are read.
fn are_halves(side: u32, term: u32) -> bool {
  return is_wide(side, term) && dtype_of(side, term) != F32;
}

// `count` elements from i on, and zeros; of a wide operand all or none.
fn read_eight(side: u32, term: u32, i: u32, count: u32) -> Eight {
  var eight: Eight;
  if (is_wide(side, term)) {
    if (count > 0 && dtype_of(side, term) == F32) {
      eight = Eight(words(side, term, i / 4), words(side, term, i / 4 + 1));
    } else if (count > 0) {
      eight.low = words(side, term, i / 8);
    }
    return eight;
  }
  for (var j = 0u; j < 4; j++) {
    if (j < count) {
      eight.low[j] = bitcast<u32>(element(side, term, i + j));
    }
    if (j + 4 < count) {
      eight.high[j] = bitcast<u32>(element(side, term, i + j + 4));
    }
  }
  return eight;
}

struct Floats {
  low: vec4f,
  high: vec4f,
}

fn floats_of(side: u32, term: u32, eight: Eight) -> Floats {
  if (!are_halves(side, term)) {
    return Floats(bitcast<vec4f>(eight.low), bitcast<vec4f>(eight.high));
  }
  let dtype = dtype_of(side, term);
  let words = eight.low;
  return Floats(
    vec4f(pair_of(words.x, dtype), pair_of(words.y, dtype)),
    vec4f(pair_of(words.z, dtype), pair_of(words.w, dtype)),
  );
}

// TILE_K columns of X and rows of W: those of a term from k on.
struct Step {
  term: u32,
  k: u32,
}

// Where a slice of a term ends.
fn end_of(term: Term, slice: u32) -> u32 {
  return min(term.depth, (slice + 1) * term.slice_depth);
}

fn first_step(slice: u32) -> Step {
  return Step(0, slice * shape.terms[0].slice_depth);
}

fn next_step(step: Step, slice: u32) -> Step {
  if (step.k + TILE_K < end_of(shape.terms[step.term], slice)) {
    return Step(step.term, step.k + TILE_K);
  }
  return Step(step.term + 1, 0);
}

// A tile is held as it is stored, in rows along k or across.
const X_LENGTH: u32 = select(TILE_M, TILE_K, X_ALONG_K == 1);
const W_LENGTH: u32 = select(TILE_N, TILE_K, W_ALONG_K == 1);

// Row and first column of the i-th eight elements of a tile.
fn place_in(length: u32, i: u32) -> vec2u {
  return vec2u(i / (length / 8), i % (length / 8) * 8);
}

// Eight elements from (row, column) on, of those that lie before `end`.
fn read_at(side: u32, term: u32, first: u32, stride: u32, at: vec2u, end: vec2u) -> Eight {
  let left = min(end.y - min(at.y, end.y), 8);
  return read_eight(side, term, first + at.x * stride + at.y, select(0u, left, at.x < end.x));
}

// The i-th eight elements of the tile of X whose first row of y is `row`.
fn read_x(step: Step, row: u32, i: u32) -> Eight {
  let term = shape.terms[step.term];
  let along_k = X_ALONG_K == 1;
  let at = select(vec2u(step.k, row), vec2u(row, step.k), along_k) + place_in(X_LENGTH, i);
  let end = select(vec2u(term.depth, shape.m), vec2u(shape.m, term.depth), along_k);
  return read_at(X, step.term, term.x_first, term.x_stride, at, end);
}

// The i-th eight elements of the tile of W whose first column of y is `column`.
fn read_w(step: Step, column: u32, i: u32) -> Eight {
  let term = shape.terms[step.term];
  let along_k = W_ALONG_K == 1;
  let at = select(vec2u(step.k, column), vec2u(column, step.k), along_k) + place_in(W_LENGTH, i);
  let end = select(vec2u(term.depth, shape.n), vec2u(shape.n, term.depth), along_k);
  return read_at(W, step.term, 0, term.w_stride, at, end);
}

// Tiles are computed in bands of this many rows of tiles, column by column, so that workgroups that run at the same
// time read the same parts of X and W.
const BAND: u32 = 8;

// First row and column of a workgroup's tile. The grid is (ceil(n / TILE_N), ceil(m / TILE_M), slices).
fn tile_of(group: vec3u) -> vec2u {
  let tiles = (vec2u(shape.m, shape.n) + vec2u(TILE_M, TILE_N) - 1) / vec2u(TILE_M, TILE_N);
  let index = group.y * tiles.y + group.x;
  let first = index / (BAND * tiles.y) * BAND;
  let height = min(BAND, tiles.x - first);
  let within = index - first * tiles.y;
  return vec2u((first + within % height) * TILE_M, within / height * TILE_N);
}

// Terms to sum up in the tile whose first row is `row`: none where its rows have no label. All threads look, since one that
// told the others would need workgroup memory; the first label ends it.
fn terms_of(row: u32) -> u32 {
  if (shape.labels == 0) {
    return shape.term_count;
  }
  for (var i = row; i < min(row + TILE_M, shape.m); i++) {
    if (labels[shape.labels - 1 + i] >= 0) {
      return shape.term_count;
    }
  }
  return 0;
}

// Writes an element of y, if it is one.
fn write_y(slice: u32, row: u32, column: u32, sum: f32) {
  if (row >= shape.m || column >= shape.n) {
    return;
  }
  let at = shape.y_first + (slice * shape.m + row) * shape.y_stride + column;
  var value = shape.scale * sum;
  if (shape.bias > 0) {
    value += bias[shape.bias - 1 + column];
  }
  if (shape.base == SEPARATE) {
    value += f32(base[at]);
  } else if (shape.base == IN_PLACE) {
    value += f32(y[at]);
  }
  y[at] = Y(value);
}
