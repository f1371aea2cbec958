enable f16;
enable subgroup_matrix;
enable subgroup_size_control;
diagnostic(off, subgroup_matrix_uniformity);
// import linear_operands.wgsl
// Products (see linear_operands.wgsl) by subgroup matrices: f16 factors of MATRIX_M x MATRIX_K and MATRIX_K x MATRIX_N, f32
// sums. One workgroup of SUBGROUPS_M x SUBGROUPS_N subgroups computes a tile of y, each subgroup a part of it. Tiles of X
// and W wait in workgroup memory as f16, in rows as they are stored, with zeros where there is nothing; what the next step
// needs is read into registers while this one is multiplied. scale_i is applied to X before it is rounded to f16, where
// there are two terms; scale at the end. Sums go out through the same memory, a row of matrices at a time.

// Eight halves, or four f32.
alias Cell = vec4u;

// Cells from one row of a tile to the next: an odd number, so that rows lie in different banks.
const X_STRIDE: u32 = X_LENGTH / 8 + 1;
const W_STRIDE: u32 = W_LENGTH / 8 + 1;
const X_CELLS: u32 = TILE_M * TILE_K / X_LENGTH * X_STRIDE;
const W_CELLS: u32 = TILE_N * TILE_K / W_LENGTH * W_STRIDE;

// The part of a subgroup, in elements and in matrices.
const PART_M: u32 = TILE_M / SUBGROUPS_M;
const PART_N: u32 = TILE_N / SUBGROUPS_N;
const ROWS: u32 = PART_M / MATRIX_M;
const COLUMNS: u32 = PART_N / MATRIX_N;

// Elements of a row of matrices of a part, and of all parts.
const STRIP: u32 = MATRIX_M * PART_N;
const STRIPS: u32 = SUBGROUPS_M * SUBGROUPS_N * STRIP;

// X, then W; then sums.
var<workgroup> cells: array<Cell, max(X_CELLS + W_CELLS, STRIPS / 4)>;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;
alias Sums = array<array<Result, COLUMNS>, ROWS>;

// Eights of X and of W that a thread moves in a step: THREADS apart.
const X_EIGHTS: u32 = TILE_M * TILE_K / 8 / THREADS;
const W_EIGHTS: u32 = TILE_N * TILE_K / 8 / THREADS;

struct Eights {
  x: array<Eight, X_EIGHTS>,
  w: array<Eight, W_EIGHTS>,
}

fn read_step(step: Step, tile: vec2u, thread: u32) -> Eights {
  var eights: Eights;
  if (step.term < shape.term_count) {
    for (var i = 0u; i < X_EIGHTS; i++) {
      eights.x[i] = read_x(step, tile.x, thread + i * THREADS);
    }
    for (var i = 0u; i < W_EIGHTS; i++) {
      eights.w[i] = read_w(step, tile.y, thread + i * THREADS);
    }
  }
  return eights;
}

fn half_pair(a: f32, b: f32) -> u32 {
  return bitcast<u32>(vec2<f16>(vec2f(a, b)));
}

// Eight elements in halves; those that are halves already, and are not scaled, as they are.
fn cell_of(side: u32, term: u32, eight: Eight, scale: f32) -> Cell {
  if (are_halves(side, term) && dtype_of(side, term) != BF16 && scale == 1) {
    return eight.low;
  }
  let floats = floats_of(side, term, eight);
  let low = scale * floats.low;
  let high = scale * floats.high;
  return Cell(half_pair(low.x, low.y), half_pair(low.z, low.w), half_pair(high.x, high.y), half_pair(high.z, high.w));
}

fn stage(step: Step, eights: Eights, thread: u32) {
  let scale = shape.terms[step.term].scale;
  for (var i = 0u; i < X_EIGHTS; i++) {
    let at = place_in(X_LENGTH, thread + i * THREADS);
    cells[at.x * X_STRIDE + at.y / 8] = cell_of(X, step.term, eights.x[i], scale);
  }
  for (var i = 0u; i < W_EIGHTS; i++) {
    let at = place_in(W_LENGTH, thread + i * THREADS);
    cells[X_CELLS + at.x * W_STRIDE + at.y / 8] = cell_of(W, step.term, eights.w[i], 1);
  }
}

// Offsets and strides count cells.
fn left(row: u32, k: u32) -> Left {
  if (X_ALONG_K == 1) {
    return subgroupMatrixLoad<Left, row_major>(&cells, row * X_STRIDE + k / 8, X_STRIDE);
  }
  return subgroupMatrixLoad<Left, col_major>(&cells, k * X_STRIDE + row / 8, X_STRIDE);
}

fn right(column: u32, k: u32) -> Right {
  if (W_ALONG_K == 1) {
    return subgroupMatrixLoad<Right, col_major>(&cells, X_CELLS + column * W_STRIDE + k / 8, W_STRIDE);
  }
  return subgroupMatrixLoad<Right, row_major>(&cells, X_CELLS + k * W_STRIDE + column / 8, W_STRIDE);
}

// First row and column of a subgroup's part. Where the size of subgroups cannot be asked for, they may be smaller than
// SUBGROUP_SIZE, and more of them than parts: those compute what others do.
fn part_of(subgroup: u32) -> vec2u {
  return vec2u(subgroup / SUBGROUPS_N % SUBGROUPS_M * PART_M, subgroup % SUBGROUPS_N * PART_N);
}

fn multiply_tiles(subgroup: u32, sums: ptr<function, Sums>) {
  let part = part_of(subgroup);
  for (var k = 0u; k < TILE_K; k += MATRIX_K) {
    var w: array<Right, COLUMNS>;
    for (var j = 0u; j < COLUMNS; j++) {
      w[j] = right(part.y + j * MATRIX_N, k);
    }
    for (var i = 0u; i < ROWS; i++) {
      let x = left(part.x + i * MATRIX_M, k);
      for (var j = 0u; j < COLUMNS; j++) {
        sums[i][j] = subgroupMatrixMultiplyAccumulate(x, w[j], sums[i][j]);
      }
    }
  }
}

// Stores row i of every part's matrices, for write_strips.
fn store_strip(subgroup: u32, sums: ptr<function, Sums>, i: u32) {
  if (subgroup < SUBGROUPS_M * SUBGROUPS_N) {
    for (var j = 0u; j < COLUMNS; j++) {
      subgroupMatrixStore<row_major>(&cells, (subgroup * STRIP + j * MATRIX_N) / 4, sums[i][j], PART_N / 4);
    }
  }
}

fn write_strips(slice: u32, tile: vec2u, i: u32, thread: u32) {
  for (var e = thread; e < STRIPS; e += THREADS) {
    let at = tile + part_of(e / STRIP) + vec2u(i * MATRIX_M + e % STRIP / PART_N, e % PART_N);
    write_y(slice, at.x, at.y, bitcast<f32>(cells[e / 4][e % 4]));
  }
}

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP_SIZE)
fn linear_matrix(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(subgroup_id) subgroup: u32,
) {
  let tile = tile_of(group);
  let terms = terms_of(tile.x);
  var sums: Sums;
  let first = first_step(group.z);
  var step = first;
  // What a step reads is on its way while the step before it is multiplied.
  loop {
    let eights = read_step(step, tile, thread);
    if (step.term > 0 || step.k > first.k) {
      multiply_tiles(subgroup, &sums);
    }
    workgroupBarrier();
    if (step.term >= terms) {
      break;
    }
    stage(step, eights, thread);
    workgroupBarrier();
    step = next_step(step, group.z);
  }
  for (var i = 0u; i < ROWS; i++) {
    store_strip(subgroup, &sums, i);
    workgroupBarrier();
    write_strips(group.z, tile, i, thread);
    workgroupBarrier();
  }
}
