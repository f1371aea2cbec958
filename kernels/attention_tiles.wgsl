// What attention.wgsl and attention_dx.wgsl have in common: operands, tiles in workgroup memory, and products of tiles.
// A workgroup computes TILE_ROWS tokens of one head (x: tiles of all rows of the batch, y: heads) from the tokens that they
// see, or that see them, in tiles of TILE_COLUMNS and in order:
//   scores = rows columns^T      inner_products, over head_dim in pieces of DEPTH vec4s
//   sums += f(scores) factor     put_scores, add_product, over the columns in pieces of STAGED
// A thread has ROWS rows ROW_THREADS apart; of the scores, 4 adjacent columns; of the sums, VECTORS vec4s COLUMN_THREADS
// apart. Sums are f32, in the order of what is summed.

// Open: ROWS, ROW_THREADS, COLUMN_THREADS, VECTORS, DEPTH, STAGED, SIDES; ROWS and STAGED are multiples of 4. Arrays in
// registers have as many elements as the loops over them have trips: drivers unroll those, and keep others in memory.
const SIDE_THREADS: u32 = ROW_THREADS * COLUMN_THREADS;
const THREADS: u32 = SIDES * SIDE_THREADS;
const TILE_ROWS: u32 = ROWS * ROW_THREADS;
const TILE_COLUMNS: u32 = 4 * COLUMN_THREADS;
// vec4s of a token in the second factor of a product with scores.
const WIDTH: u32 = VECTORS * COLUMN_THREADS;
// Such that threads that store along head_dim hit different banks.
const LEFT_STRIDE: u32 = TILE_ROWS + 2;
const RIGHT_STRIDE: u32 = COLUMN_THREADS + 1;
const LEFT_SIZE: u32 = max(DEPTH, COLUMN_THREADS) * LEFT_STRIDE;
const RIGHT_SIZE: u32 = max(max(4 * DEPTH * RIGHT_STRIDE, STAGED * WIDTH), ROWS / 4 * SIDE_THREADS);

const LOWEST: f32 = -0x1.fffffep+127;

struct Shape {
  sequence: u32,
  heads: u32,
  key_value_heads: u32,
  head_dim: u32,
  scale: f32,
  // tokens heads
  rows: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> q: array<Q>;
@group(0) @binding(2) var<storage, read> k: array<K>;
@group(0) @binding(3) var<storage, read> v: array<V>;
@group(0) @binding(4) var<storage, read> d_o: array<DO>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;

// The left factor of a product, [k / 4][row] vec4s along k: rows of a head, or scores.
var<workgroup> left: array<vec4f, SIDES * LEFT_SIZE>;
// The right factor, [k][column / 4]; between products, what the threads of a row tell each other.
var<workgroup> right: array<vec4f, SIDES * RIGHT_SIZE>;
var<workgroup> reach: atomic<u32>;

// vec4s along columns, [vector][row]; scores are the first vector.
alias Block = array<array<vec4f, ROWS>, VECTORS>;
alias Rows = array<f32, ROWS>;

struct Thread {
  side: u32,
  // In its side.
  index: u32,
  // Its first row, and its first vec4 of columns.
  row: u32,
  column: u32,
}
var<private> thread: Thread;

fn thread_of(local_index: u32) -> Thread {
  let index = local_index % SIDE_THREADS;
  return Thread(local_index / SIDE_THREADS % SIDES, index, index / COLUMN_THREADS, index % COLUMN_THREADS);
}

// The first token of a row of the batch, and in it that of a tile of rows.
struct Place {
  base: u32,
  first: u32,
}

fn place_of(tile: u32) -> Place {
  let tiles = (shape.sequence + TILE_ROWS - 1) / TILE_ROWS;
  return Place(tile / tiles * shape.sequence, tile % tiles * TILE_ROWS);
}

fn token_of(place: Place, i: u32) -> u32 {
  return place.first + thread.row + i * ROW_THREADS;
}

fn columns_of(first: u32) -> vec4u {
  return vec4u(first + 4 * thread.column) + vec4u(0, 1, 2, 3);
}

const QUERIES: u32 = 0;
const KEYS: u32 = 1;
const VALUES: u32 = 2;
const D_OUTPUTS: u32 = 3;

// A head of an operand in a row of the batch: its first element, and the distance from one token to the next.
struct Head {
  operand: u32,
  first: u32,
  stride: u32,
}

fn query_head(operand: u32, place: Place, head: u32) -> Head {
  return Head(operand, (place.base * shape.heads + head) * shape.head_dim, shape.heads * shape.head_dim);
}

fn key_value_head(operand: u32, place: Place, head: u32) -> Head {
  let stride = shape.key_value_heads * shape.head_dim;
  return Head(operand, place.base * stride + head * shape.head_dim, stride);
}

fn operand_element(operand: u32, at: u32) -> f32 {
  switch operand {
    case QUERIES: {
      return f32(q[at]);
    }
    case KEYS: {
      return f32(k[at]);
    }
    case VALUES: {
      return f32(v[at]);
    }
    default: {
      return f32(d_o[at]);
    }
  }
}

// 0 past the end of the row of the batch, and of the head.
fn element(head: Head, token: u32, d: u32) -> f32 {
  let inside = (token < shape.sequence) & (d < shape.head_dim);
  let at = select(0, head.first + token * head.stride + d, inside);
  return select(0, operand_element(head.operand, at), inside);
}

fn four_along_head(head: Head, token: u32, d: u32) -> vec4f {
  return vec4f(
    element(head, token, d),
    element(head, token, d + 1),
    element(head, token, d + 2),
    element(head, token, d + 3),
  );
}

fn four_tokens(head: Head, token: u32, d: u32) -> vec4f {
  return vec4f(
    element(head, token, d),
    element(head, token + 1, d),
    element(head, token + 2, d),
    element(head, token + 3, d),
  );
}

fn left_at(k4: u32, row: u32) -> u32 {
  return thread.side * LEFT_SIZE + k4 * LEFT_STRIDE + row;
}

fn right_at(i: u32) -> u32 {
  return thread.side * RIGHT_SIZE + i;
}

// DEPTH vec4s of the tile's rows, from `start` on.
fn stage_rows(head: Head, place: Place, start: u32) {
  for (var i = thread.index; i < TILE_ROWS * DEPTH; i += SIDE_THREADS) {
    let row = i / DEPTH;
    left[left_at(i % DEPTH, row)] = four_along_head(head, place.first + row, 4 * (start + i % DEPTH));
  }
}

// DEPTH vec4s, from `start` on, of TILE_COLUMNS tokens from `first` on, transposed.
fn stage_columns(head: Head, first: u32, start: u32) {
  for (var i = thread.index; i < 4 * DEPTH * COLUMN_THREADS; i += SIDE_THREADS) {
    let row = i % (4 * DEPTH);
    let column = i / (4 * DEPTH);
    right[right_at(row * RIGHT_STRIDE + column)] = four_tokens(head, first + 4 * column, 4 * start + row);
  }
}

// STAGED tokens from `first` on.
fn stage_factor(head: Head, first: u32) {
  for (var i = thread.index; i < STAGED * WIDTH; i += SIDE_THREADS) {
    right[right_at(i)] = four_along_head(head, first + i / WIDTH, 4 * (i % WIDTH));
  }
}

// sums += left right, for `depth` vec4s of left from `start` on; right has rows of `stride` vec4s.
fn multiply(start: u32, depth: u32, stride: u32, vectors: u32, sums: ptr<function, Block>) {
  for (var k4 = 0u; k4 < depth; k4++) {
    var a: array<vec4f, ROWS>;
    for (var i = 0u; i < ROWS; i++) {
      a[i] = left[left_at(start + k4, thread.row + i * ROW_THREADS)];
    }
    for (var j = 0u; j < vectors; j++) {
      let at = right_at(4 * k4 * stride + thread.column + j * COLUMN_THREADS);
      let b0 = right[at];
      let b1 = right[at + stride];
      let b2 = right[at + 2 * stride];
      let b3 = right[at + 3 * stride];
      for (var i = 0u; i < ROWS; i++) {
        var sum = sums[j][i];
        sum = fma(vec4f(a[i].x), b0, sum);
        sum = fma(vec4f(a[i].y), b1, sum);
        sum = fma(vec4f(a[i].z), b2, sum);
        sum = fma(vec4f(a[i].w), b3, sum);
        sums[j][i] = sum;
      }
    }
  }
}

// Scores before any scale: the tile's rows times TILE_COLUMNS tokens from `first` on.
fn inner_products(rows: Head, place: Place, columns: Head, first: u32) -> Block {
  let depth = (shape.head_dim + 3) / 4;
  var products: Block;
  for (var start = 0u; start < depth; start += DEPTH) {
    stage_rows(rows, place, start);
    stage_columns(columns, first, start);
    workgroupBarrier();
    multiply(0, min(DEPTH, depth - start), RIGHT_STRIDE, 1, &products);
    workgroupBarrier();
  }
  return products;
}

fn put_scores(scores: ptr<function, Block>) {
  for (var i = 0u; i < ROWS; i++) {
    left[left_at(thread.column, thread.row + i * ROW_THREADS)] = scores[0][i];
  }
}

// sums += the scores that were put times TILE_COLUMNS tokens from `first` on.
fn add_product(factor: Head, first: u32, sums: ptr<function, Block>) {
  for (var start = 0u; start < TILE_COLUMNS; start += STAGED) {
    stage_factor(factor, first + start);
    workgroupBarrier();
    multiply(start / 4, min(STAGED, TILE_COLUMNS - start) / 4, WIDTH, VECTORS, sums);
    workgroupBarrier();
  }
}

// The first key that a query sees; the next token where there is no such query, so that it sees none.
fn first_seen(place: Place, query: u32) -> u32 {
  if (query >= shape.sequence) {
    return query + 1;
  }
  return query - positions[place.base + query];
}

// The first key that any of the tile's queries sees.
fn first_key(place: Place) -> u32 {
  let end = place.first + TILE_ROWS;
  for (var query = place.first + thread.index; query < end; query += SIDE_THREADS) {
    atomicMax(&reach, end - min(query, first_seen(place, query)));
  }
  return end - workgroupUniformLoad(&reach);
}

// The end of the queries that see any of the tile's keys.
fn end_of_queries(place: Place) -> u32 {
  for (var query = place.first + thread.index; query < shape.sequence; query += SIDE_THREADS) {
    if (first_seen(place, query) < place.first + TILE_ROWS) {
      atomicMax(&reach, query + 1);
    }
  }
  return workgroupUniformLoad(&reach);
}

// Which of four keys a query sees.
fn seen(place: Place, query: u32, keys: vec4u) -> vec4<bool> {
  return (keys >= vec4u(first_seen(place, query))) & (keys <= vec4u(query));
}

// Where a vec4 of a result begins, and how many elements of it there are.
struct Span {
  first: u32,
  count: u32,
}

fn span_of(head: Head, token: u32, j: u32) -> Span {
  let d = 4 * (thread.column + j * COLUMN_THREADS);
  if (token >= shape.sequence || d >= shape.head_dim) {
    return Span(0, 0);
  }
  return Span(head.first + token * head.stride + d, min(4, shape.head_dim - d));
}
