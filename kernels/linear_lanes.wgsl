enable subgroups;
// import linear_operands.wgsl
// Products (see linear_operands.wgsl) on a CPU that plays a GPU, in f32. Reading memory is what costs there: every thread's
// element is fetched on its own. So the threads of a workgroup, one subgroup, keep a column of X between them and pass
// its elements on. One workgroup computes a tile of y: all its rows, and columns LANES apart, in each thread.
const LANES: u32 = 8;
const BLOCKS: u32 = TILE_M / LANES;
const COLUMNS: u32 = TILE_N / LANES;

alias Sums = array<array<f32, COLUMNS>, TILE_M>;

// Where a thread's row of each block of X and its columns of W begin. Outside there is nothing to read: there they repeat
// the last ones, and nobody writes what comes of them.
struct Origins {
  x: array<u32, BLOCKS>,
  w: array<u32, COLUMNS>,
}

fn origins_of(term: Term, tile: vec2u, lane: u32) -> Origins {
  var origins: Origins;
  for (var i = 0u; i < BLOCKS; i++) {
    let m = min(tile.x + i * LANES + lane, shape.m - 1);
    origins.x[i] = term.x_first + m * select(1, term.x_stride, X_ALONG_K == 1);
  }
  for (var i = 0u; i < COLUMNS; i++) {
    let n = min(tile.y + i * LANES + lane, shape.n - 1);
    origins.w[i] = n * select(1, term.w_stride, W_ALONG_K == 1);
  }
  return origins;
}

// X of LANES rows a block, and W, for TILE_K steps of k. Threads read a few neighbours in storage one after the other.
struct Factors {
  x: array<array<f32, TILE_K>, BLOCKS>,
  w: array<array<f32, TILE_K>, COLUMNS>,
}

// From k on; steps behind the last one add 0.
fn factors_at(index: u32, term: Term, origins: Origins, k: u32) -> Factors {
  var factors: Factors;
  let x_step = select(term.x_stride, 1, X_ALONG_K == 1);
  let w_step = select(term.w_stride, 1, W_ALONG_K == 1);
  for (var i = 0u; i < BLOCKS; i++) {
    for (var j = 0u; j < TILE_K; j++) {
      let value = element(X, index, origins.x[i] + min(k + j, term.depth - 1) * x_step);
      factors.x[i][j] = value * select(0.0, term.scale, k + j < term.depth);
    }
  }
  for (var i = 0u; i < COLUMNS; i++) {
    for (var j = 0u; j < TILE_K; j++) {
      factors.w[i][j] = element(W, index, origins.w[i] + min(k + j, term.depth - 1) * w_step);
    }
  }
  return factors;
}

fn all_lanes(value: f32) -> array<f32, LANES> {
  return array(
    subgroupBroadcast(value, 0), subgroupBroadcast(value, 1), subgroupBroadcast(value, 2), subgroupBroadcast(value, 3),
    subgroupBroadcast(value, 4), subgroupBroadcast(value, 5), subgroupBroadcast(value, 6), subgroupBroadcast(value, 7),
  );
}

fn multiply(factors: Factors, sums: ptr<function, Sums>) {
  for (var k = 0u; k < TILE_K; k++) {
    for (var i = 0u; i < BLOCKS; i++) {
      let x = all_lanes(factors.x[i][k]);
      for (var row = 0u; row < LANES; row++) {
        for (var j = 0u; j < COLUMNS; j++) {
          sums[i * LANES + row][j] = fma(x[row], factors.w[j][k], sums[i * LANES + row][j]);
        }
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn linear_lanes(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let tile = tile_of(group);
  let terms = terms_of(tile.x);
  var sums: Sums;
  for (var i = 0u; i < terms; i++) {
    let term = shape.terms[i];
    let origins = origins_of(term, tile, lane);
    for (var k = group.z * term.slice_depth; k < end_of(term, group.z); k += TILE_K) {
      multiply(factors_at(i, term, origins, k), &sums);
    }
  }
  for (var i = 0u; i < TILE_M; i++) {
    for (var j = 0u; j < COLUMNS; j++) {
      write_y(group.z, tile.x + i, tile.y + j * LANES + lane, sums[i][j]);
    }
  }
}
