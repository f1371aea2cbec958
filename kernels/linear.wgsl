// import linear_operands.wgsl
// Products (see linear_operands.wgsl) on any GPU, in f32. One workgroup computes a tile of y, each thread 8 x 8 of it, from
// tiles of X and W in workgroup memory.
const REGISTERS: u32 = 8;
const THREADS_N: u32 = TILE_N / REGISTERS;
const THREADS: u32 = THREADS_N * (TILE_M / REGISTERS);
// Odd strides, so that threads that store along k hit different banks.
const STRIDE_X: u32 = TILE_M + 1;
const STRIDE_W: u32 = TILE_N + 1;

var<workgroup> tile_x: array<f32, TILE_K * STRIDE_X>;
var<workgroup> tile_w: array<f32, TILE_K * STRIDE_W>;

alias Sums = array<f32, REGISTERS * REGISTERS>;

fn stage_x(step: Step, row: u32, thread: u32) {
  let scale = shape.terms[step.term].scale;
  for (var i = thread; i < TILE_M * TILE_K / 8; i += THREADS) {
    let floats = floats_of(X, step.term, read_x(step, row, i));
    let at = place_in(X_LENGTH, i);
    let from_to = select(vec2u(at.x * STRIDE_X + at.y, 1), vec2u(at.y * STRIDE_X + at.x, STRIDE_X), X_ALONG_K == 1);
    for (var j = 0u; j < 4; j++) {
      tile_x[from_to.x + j * from_to.y] = scale * floats.low[j];
      tile_x[from_to.x + (j + 4) * from_to.y] = scale * floats.high[j];
    }
  }
}

fn stage_w(step: Step, column: u32, thread: u32) {
  for (var i = thread; i < TILE_N * TILE_K / 8; i += THREADS) {
    let floats = floats_of(W, step.term, read_w(step, column, i));
    let at = place_in(W_LENGTH, i);
    let from_to = select(vec2u(at.x * STRIDE_W + at.y, 1), vec2u(at.y * STRIDE_W + at.x, STRIDE_W), W_ALONG_K == 1);
    for (var j = 0u; j < 4; j++) {
      tile_w[from_to.x + j * from_to.y] = floats.low[j];
      tile_w[from_to.x + (j + 4) * from_to.y] = floats.high[j];
    }
  }
}

fn multiply_tiles(thread: u32, sums: ptr<function, Sums>) {
  let first_x = thread / THREADS_N * REGISTERS;
  let first_w = thread % THREADS_N;
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
  let tile = tile_of(group);
  let terms = terms_of(tile.x);
  var sums: Sums;
  for (var step = first_step(group.z); step.term < terms; step = next_step(step, group.z)) {
    stage_x(step, tile.x, thread);
    stage_w(step, tile.y, thread);
    workgroupBarrier();
    multiply_tiles(thread, &sums);
    workgroupBarrier();
  }
  for (var i = 0u; i < REGISTERS; i++) {
    for (var j = 0u; j < REGISTERS; j++) {
      let row = tile.x + thread / THREADS_N * REGISTERS + i;
      let column = tile.y + thread % THREADS_N + j * THREADS_N;
      write_y(group.z, row, column, sums[i * REGISTERS + j]);
    }
  }
}
