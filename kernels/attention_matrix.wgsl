enable f16;
enable subgroup_matrix;
enable subgroup_size_control;
requires unrestricted_pointer_parameters;
diagnostic(off, subgroup_matrix_uniformity);
// Attention (see attention.wgsl) by subgroup matrices, for sequences of whole tiles and heads of whole matrices:
//   attention_lse         lse, from the scores
//   attention_o           o = P v, P = e^(scale q k^T - lse): no row's sum has to be rescaled, which matrices cannot
//   attention_matrix_dq   dq = dS k, dS = scale P (dO v^T - D)
//   attention_matrix_dkv  dv = P^T dO, dk = dS^T q, each a sum over the query heads that read the key-value head
// q, k, v, dO are f16; terms = (lse, D) is what attention_dx_rows leaves.
// A workgroup of SUBGROUPS subgroups computes TILE_ROWS tokens of one head (x: tiles of all rows of the batch, y: heads):
// queries, or keys in attention_matrix_dkv; a subgroup has MATRIX_M of them. Tokens that they see, or that see them, come
// in tiles of TILE_COLUMNS and in order. Factors are read where they lie in storage; scores go through workgroup memory,
// where each thread turns its share of a row into halves for the next product. Sums are f32. All results are written (=).

// Open: MATRIX_M, MATRIX_N, MATRIX_K, SUBGROUPS, SUBGROUP_SIZE, THREADS, HEAD_DIM; of attention_matrix_dkv also WITH_DK and
// WITH_DV, which of its results it computes.
const TILE_ROWS: u32 = SUBGROUPS * MATRIX_M;
const TILE_COLUMNS: u32 = 32;
const TILE: u32 = TILE_ROWS * TILE_COLUMNS;
// Threads that share a row of a tile, and the elements of it that each has, ROW_THREADS apart.
const ROW_THREADS: u32 = THREADS / TILE_ROWS;
const SHARE: u32 = TILE_COLUMNS / ROW_THREADS;
// Matrices of a row of scores, and of a row of a result.
const COLUMNS: u32 = TILE_COLUMNS / MATRIX_N;
const WIDTH: u32 = HEAD_DIM / MATRIX_N;

const LOWEST: f32 = -0x1.fffffep+127;

struct Shape {
  sequence: u32,
  heads: u32,
  key_value_heads: u32,
  head_dim: u32,
  scale: f32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> q: array<f16>;
@group(0) @binding(2) var<storage, read> k: array<f16>;
@group(0) @binding(3) var<storage, read> v: array<f16>;
@group(0) @binding(4) var<storage, read> d_o: array<f16>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;

var<workgroup> scores: array<f32, TILE>;
var<workgroup> halves: array<f16, TILE>;
var<workgroup> partials: array<vec2f, THREADS>;
var<workgroup> reach: atomic<u32>;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;
alias Sums = array<Result, WIDTH>;
alias Shares = array<f32, SHARE>;

// The first token of a row of the batch, and in it that of a tile of rows.
struct Place {
  base: u32,
  first: u32,
}

fn place_of(tile: u32) -> Place {
  let tiles = shape.sequence / TILE_ROWS;
  return Place(tile / tiles * shape.sequence, tile % tiles * TILE_ROWS);
}

// Where an operand is: q, k, v or dO.
alias Operand = ptr<storage, array<f16>, read>;

// A head of an operand: its element 0 of token 0 of the row of the batch, and the distance from a token to the next.
struct Head {
  first: u32,
  stride: u32,
}

fn query_head(place: Place, head: u32) -> Head {
  let stride = shape.heads * HEAD_DIM;
  return Head(place.base * stride + head * HEAD_DIM, stride);
}

fn key_value_head(place: Place, head: u32) -> Head {
  let stride = shape.key_value_heads * HEAD_DIM;
  return Head(place.base * stride + head * HEAD_DIM, stride);
}

fn at_of_head(head: Head, token: u32, d: u32) -> u32 {
  return head.first + token * head.stride + d;
}

// scores = rows columns^T before any scale, for TILE_COLUMNS tokens from `first` on. Barriers before and after.
fn put_products(subgroup: u32, rows: Operand, row_head: Head, row: u32, columns: Operand, column_head: Head, first: u32) {
  workgroupBarrier();
  if (subgroup < SUBGROUPS) {
    for (var j = 0u; j < COLUMNS; j++) {
      var sum = Result();
      for (var d = 0u; d < HEAD_DIM; d += MATRIX_K) {
        let row_at = at_of_head(row_head, row + subgroup * MATRIX_M, d);
        let column_at = at_of_head(column_head, first + j * MATRIX_N, d);
        let x = subgroupMatrixLoad<Left, row_major>(rows, row_at, row_head.stride);
        let y = subgroupMatrixLoad<Right, col_major>(columns, column_at, column_head.stride);
        sum = subgroupMatrixMultiplyAccumulate(x, y, sum);
      }
      let at = subgroup * MATRIX_M * TILE_COLUMNS + j * MATRIX_N;
      subgroupMatrixStore<row_major>(&scores, at, sum, TILE_COLUMNS);
    }
  }
  workgroupBarrier();
}

// sums += halves factor, for TILE_COLUMNS tokens from `first` on. Barriers before and after.
fn add_product(subgroup: u32, factor: Operand, head: Head, first: u32, sums: ptr<function, Sums>) {
  workgroupBarrier();
  if (subgroup < SUBGROUPS) {
    for (var c = 0u; c < TILE_COLUMNS; c += MATRIX_K) {
      let at = subgroup * MATRIX_M * TILE_COLUMNS + c;
      let x = subgroupMatrixLoad<Left, row_major>(&halves, at, TILE_COLUMNS);
      for (var j = 0u; j < WIDTH; j++) {
        let factor_at = at_of_head(head, first + c, j * MATRIX_N);
        let y = subgroupMatrixLoad<Right, row_major>(factor, factor_at, head.stride);
        sums[j] = subgroupMatrixMultiplyAccumulate(x, y, sums[j]);
      }
    }
  }
  workgroupBarrier();
}

// A thread's row of a tile, and its place among the threads of the row.
struct Part {
  row: u32,
  first: u32,
}

fn part_of(thread: u32) -> Part {
  return Part(thread / ROW_THREADS, thread % ROW_THREADS);
}

// The i-th of a thread's elements: its column, and where it is in a tile.
fn column_of(part: Part, i: u32) -> u32 {
  return part.first + i * ROW_THREADS;
}

fn at_of(part: Part, i: u32) -> u32 {
  return part.row * TILE_COLUMNS + column_of(part, i);
}

fn first_seen(place: Place, query: u32) -> u32 {
  return query - positions[place.base + query];
}

// The first tile of keys that any of the tile's queries sees.
fn first_key(place: Place, thread: u32) -> u32 {
  let end = place.first + TILE_ROWS;
  for (var query = place.first + thread; query < end; query += THREADS) {
    atomicMax(&reach, end - first_seen(place, query));
  }
  let first = end - workgroupUniformLoad(&reach);
  return first - first % TILE_COLUMNS;
}

// The end of the queries that see any of the tile's keys.
fn end_of_queries(place: Place, thread: u32) -> u32 {
  for (var query = place.first + thread; query < shape.sequence; query += THREADS) {
    if (first_seen(place, query) < place.first + TILE_ROWS) {
      atomicMax(&reach, query + 1);
    }
  }
  return workgroupUniformLoad(&reach);
}

// e^(scale score - lse) where the query sees the key.
fn probability(place: Place, score: f32, lse: f32, query: u32, key: u32) -> f32 {
  let visible = key <= query && key >= first_seen(place, query);
  return select(0, exp(select(LOWEST, fma(shape.scale, score, -lse), visible)), visible);
}

@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn attention_lse(
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  // Bound for every kernel of this file.
  _ = &v;
  _ = &d_o;
  // The last queries see the most keys, and start first.
  let place = place_of(groups.x - 1 - group.x);
  let queries = query_head(place, group.y);
  let keys = key_value_head(place, group.y * shape.key_value_heads / shape.heads);
  let part = part_of(thread);
  let query = place.first + part.row;
  let first = first_seen(place, query);
  var maximum = LOWEST;
  var sum = 0.0;
  for (var key = first_key(place, thread); key < place.first + TILE_ROWS; key += TILE_COLUMNS) {
    put_products(subgroup, &q, queries, place.first, &k, keys, key);
    for (var i = 0u; i < SHARE; i++) {
      let token = key + column_of(part, i);
      if (token < first || token > query) {
        continue;
      }
      let score = shape.scale * scores[at_of(part, i)];
      let larger = max(maximum, score);
      sum = fma(sum, exp(maximum - larger), exp(score - larger));
      maximum = larger;
    }
  }
  partials[thread] = vec2f(maximum, sum);
  workgroupBarrier();
  if (part.first == 0) {
    var total = partials[thread];
    for (var i = 1u; i < ROW_THREADS; i++) {
      let other = partials[thread + i];
      let larger = max(total.x, other.x);
      total = vec2f(larger, total.y * exp(total.x - larger) + other.y * exp(other.x - larger));
    }
    lse[(place.base + query) * shape.heads + group.y] = total.x + log(total.y);
  }
}

// Columns `start` and TILE_COLUMNS - 1 more of a result, in scores.
fn put_sums(subgroup: u32, sums: ptr<function, Sums>, start: u32) {
  workgroupBarrier();
  if (subgroup < SUBGROUPS) {
    for (var j = 0u; j < COLUMNS; j++) {
      if (start / MATRIX_N + j < WIDTH) {
        let at = subgroup * MATRIX_M * TILE_COLUMNS + j * MATRIX_N;
        subgroupMatrixStore<row_major>(&scores, at, sums[start / MATRIX_N + j], TILE_COLUMNS);
      }
    }
  }
  workgroupBarrier();
}

@group(0) @binding(6) var<storage, read_write> o: array<O>;
@group(0) @binding(7) var<storage, read> norms: array<f32>;

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn attention_o(
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  _ = &d_o;
  let place = place_of(groups.x - 1 - group.x);
  let queries = query_head(place, group.y);
  let keys = key_value_head(place, group.y * shape.key_value_heads / shape.heads);
  let part = part_of(thread);
  let query = place.first + part.row;
  let norm = norms[(place.base + query) * shape.heads + group.y];
  var sums: Sums;
  for (var key = first_key(place, thread); key < place.first + TILE_ROWS; key += TILE_COLUMNS) {
    put_products(subgroup, &q, queries, place.first, &k, keys, key);
    for (var i = 0u; i < SHARE; i++) {
      let at = at_of(part, i);
      halves[at] = f16(probability(place, scores[at], norm, query, key + column_of(part, i)));
    }
    add_product(subgroup, &v, keys, key, &sums);
  }
  for (var start = 0u; start < HEAD_DIM; start += TILE_COLUMNS) {
    put_sums(subgroup, &sums, start);
    for (var i = 0u; i < SHARE; i++) {
      let d = start + column_of(part, i);
      if (d < HEAD_DIM) {
        o[queries.first + query * queries.stride + d] = O(scores[at_of(part, i)]);
      }
    }
  }
}

@group(0) @binding(6) var<storage, read> terms: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> dq: array<DQ>;

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn attention_matrix_dq(
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let place = place_of(groups.x - 1 - group.x);
  let queries = query_head(place, group.y);
  let keys = key_value_head(place, group.y * shape.key_value_heads / shape.heads);
  let part = part_of(thread);
  let query = place.first + part.row;
  let term = terms[(place.base + query) * shape.heads + group.y];
  var sums: Sums;
  for (var key = first_key(place, thread); key < place.first + TILE_ROWS; key += TILE_COLUMNS) {
    put_products(subgroup, &q, queries, place.first, &k, keys, key);
    var p: Shares;
    for (var i = 0u; i < SHARE; i++) {
      p[i] = probability(place, scores[at_of(part, i)], term.x, query, key + column_of(part, i));
    }
    put_products(subgroup, &d_o, queries, place.first, &v, keys, key);
    for (var i = 0u; i < SHARE; i++) {
      let at = at_of(part, i);
      halves[at] = f16(shape.scale * p[i] * (scores[at] - term.y));
    }
    add_product(subgroup, &k, keys, key, &sums);
  }
  for (var start = 0u; start < HEAD_DIM; start += TILE_COLUMNS) {
    put_sums(subgroup, &sums, start);
    for (var i = 0u; i < SHARE; i++) {
      let d = start + column_of(part, i);
      if (d < HEAD_DIM) {
        dq[queries.first + query * queries.stride + d] = DQ(scores[at_of(part, i)]);
      }
    }
  }
}

@group(0) @binding(7) var<storage, read_write> dk: array<DK>;
@group(0) @binding(8) var<storage, read_write> dv: array<DV>;

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn attention_matrix_dkv(
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let place = place_of(group.x);
  let keys = key_value_head(place, group.y);
  let part = part_of(thread);
  let key = place.first + part.row;
  let heads = shape.heads / shape.key_value_heads;
  let end = end_of_queries(place, thread);
  var d_keys: Sums;
  var d_values: Sums;
  for (var head = group.y * heads; head < (group.y + 1) * heads; head++) {
    let queries = query_head(place, head);
    for (var first = place.first; first < end; first += TILE_COLUMNS) {
      put_products(subgroup, &k, keys, place.first, &q, queries, first);
      var p: Shares;
      for (var i = 0u; i < SHARE; i++) {
        let query = first + column_of(part, i);
        let norm = terms[(place.base + query) * shape.heads + head].x;
        p[i] = probability(place, scores[at_of(part, i)], norm, query, key);
        halves[at_of(part, i)] = f16(p[i]);
      }
      if (WITH_DV == 1) {
        add_product(subgroup, &d_o, queries, first, &d_values);
      }
      if (WITH_DK == 1) {
        put_products(subgroup, &v, keys, place.first, &d_o, queries, first);
        for (var i = 0u; i < SHARE; i++) {
          let d = terms[(place.base + first + column_of(part, i)) * shape.heads + head].y;
          let at = at_of(part, i);
          halves[at] = f16(shape.scale * p[i] * (scores[at] - d));
        }
        add_product(subgroup, &q, queries, first, &d_keys);
      }
    }
  }
  for (var start = 0u; start < HEAD_DIM; start += TILE_COLUMNS) {
    put_sums(subgroup, &d_keys, start);
    for (var i = 0u; i < SHARE; i++) {
      let d = start + column_of(part, i);
      if (WITH_DK == 1 && d < HEAD_DIM) {
        dk[keys.first + key * keys.stride + d] = DK(scores[at_of(part, i)]);
      }
    }
    put_sums(subgroup, &d_values, start);
    for (var i = 0u; i < SHARE; i++) {
      let d = start + column_of(part, i);
      if (WITH_DV == 1 && d < HEAD_DIM) {
        dv[keys.first + key * keys.stride + d] = DV(scores[at_of(part, i)]);
      }
    }
  }
}
