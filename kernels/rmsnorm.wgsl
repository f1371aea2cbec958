// import sum_threads.wgsl
// rmsnorm     y = x rstd w, rstd = 1 / sqrt(mean(x^2) + eps); x, y [rows, width], w [width], rstd [rows]
// rmsnorm_dx  dx = [base +] rstd (w dy - x rstd^2 mean(w dy x))
// rmsnorm_dw  parts[part] = the sum of dy x rstd over a part's rows; column_sum.wgsl adds them up
// rmsnorm, rmsnorm_dx: one workgroup computes one row at a time, then the row `workgroups` further on. Sums go thread by
// thread in steps of THREADS, then by halves. rmsnorm_dw: as column_sum in column_sum.wgsl; parts [parts, width].
// All write (=); with base = IN_PLACE, it is what dx holds (+=).

alias Summed = f32;

// Where an operand is: nowhere (0), in its binding, or in dx, which takes over its storage.
const SEPARATE: u32 = 1;
const IN_PLACE: u32 = 2;

struct Shape {
  rows: u32,
  width: u32,
  // rmsnorm only.
  eps: f32,
  // rmsnorm_dx only.
  base: u32,
  dy: u32,
  // rmsnorm_dw only.
  rows_per_part: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read_write> rstd: array<f32>;

@compute @workgroup_size(THREADS)
fn rmsnorm(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = group.x; row < shape.rows; row += groups.x) {
    let first = row * shape.width;
    var squares = 0.0;
    for (var j = thread; j < shape.width; j += THREADS) {
      let value = f32(x[first + j]);
      squares = fma(value, value, squares);
    }
    let r = 1 / sqrt(sum_threads(thread, squares) / f32(shape.width) + shape.eps);
    for (var j = thread; j < shape.width; j += THREADS) {
      y[first + j] = Y(f32(x[first + j]) * r * weight[j]);
    }
    if (thread == 0) {
      rstd[row] = r;
    }
  }
}

@group(0) @binding(1) var<storage, read> base: array<B>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read> x_dx: array<X>;
@group(0) @binding(4) var<storage, read> weight_dx: array<f32>;
@group(0) @binding(5) var<storage, read> rstd_dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<DX>;

fn weighted_dy(first: u32, j: u32) -> f32 {
  if (shape.dy == IN_PLACE) {
    return weight_dx[j] * f32(dx[first + j]);
  }
  return weight_dx[j] * f32(dy[first + j]);
}

@compute @workgroup_size(THREADS)
fn rmsnorm_dx(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = group.x; row < shape.rows; row += groups.x) {
    let first = row * shape.width;
    let r = rstd_dx[row];
    var products = 0.0;
    for (var j = thread; j < shape.width; j += THREADS) {
      products = fma(weighted_dy(first, j), f32(x_dx[first + j]), products);
    }
    let slope = r * r * sum_threads(thread, products) / f32(shape.width);
    for (var j = thread; j < shape.width; j += THREADS) {
      var value = r * (weighted_dy(first, j) - f32(x_dx[first + j]) * slope);
      if (shape.base == SEPARATE) {
        value += f32(base[first + j]);
      } else if (shape.base == IN_PLACE) {
        value += f32(dx[first + j]);
      }
      dx[first + j] = DX(value);
    }
  }
}

const COLUMNS: u32 = 64;
override LANES: u32 = THREADS / COLUMNS;

@group(0) @binding(1) var<storage, read> dy_dw: array<DY>;
@group(0) @binding(2) var<storage, read> x_dw: array<X>;
@group(0) @binding(3) var<storage, read> rstd_dw: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(THREADS)
fn rmsnorm_dw(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * COLUMNS + thread % COLUMNS;
  let end = min((group.y + 1) * shape.rows_per_part, shape.rows);
  var sum = 0.0;
  if (column < shape.width) {
    for (var row = group.y * shape.rows_per_part + thread / COLUMNS; row < end; row += LANES) {
      let at = row * shape.width + column;
      sum = fma(f32(dy_dw[at]), f32(x_dw[at]) * rstd_dw[row], sum);
    }
  }
  partials[thread] = sum;
  workgroupBarrier();
  if (thread < COLUMNS && column < shape.width) {
    for (var lane = 1u; lane < LANES; lane++) {
      sum += partials[lane * COLUMNS + thread];
    }
    parts[group.y * shape.width + column] = sum;
  }
}
