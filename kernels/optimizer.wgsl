// import sum_threads.wgsl
// accumulate      total += gradient, and sums[first + group] = the sum of the group's gradient^2
// fold            total += part, and part = 0
// sum_of_squares  sums[first + group] = the sum of the group's gradient^2
// sum             sums[first] = the sum of the group's gradient: of the sums of one of the above
// adamw           one AdamW step on g = gradient scale min(1, clip / (norm + 1e-6)), norm = scale sqrt(sum(squares)):
//                   m += (1 - beta1) (g - m),  v = beta2 v + (1 - beta2) g^2
//                   p = p (1 - rate decay) - rate / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//                 and gradient = 0. Where the sum of the squares is not finite, that is all it does.
// gradient, total, parameter, m, v [size]. Each thread computes elements that are one grid's width apart. Sums go
// thread by thread in this order, then by halves. All write (=) but the total and what AdamW updates.

alias Summed = f32;

struct Range {
  size: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> range: Range;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> total: array<f32>;

fn write_sum(thread: u32, group: u32, value: f32) {
  let sum = sum_threads(thread, value);
  if (thread == 0) {
    sums[range.first + group] = sum;
  }
}

@compute @workgroup_size(THREADS)
fn accumulate(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  var squares = 0.0;
  for (var i = group.x * THREADS + thread; i < range.size; i += groups.x * THREADS) {
    let value = gradient[i];
    total[i] += value;
    squares = fma(value, value, squares);
  }
  write_sum(thread, group.x, squares);
}

@group(0) @binding(0) var<uniform> fold_size: u32;
@group(0) @binding(1) var<storage, read_write> fold_total: array<f32>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(THREADS)
fn fold(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var i = group.x * THREADS + thread; i < fold_size; i += groups.x * THREADS) {
    fold_total[i] += part[i];
    part[i] = 0;
  }
}

@compute @workgroup_size(THREADS)
fn sum_of_squares(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  var squares = 0.0;
  for (var i = group.x * THREADS + thread; i < range.size; i += groups.x * THREADS) {
    let value = gradient[i];
    squares = fma(value, value, squares);
  }
  write_sum(thread, group.x, squares);
}

@compute @workgroup_size(THREADS)
fn sum(@builtin(local_invocation_index) thread: u32) {
  var values = 0.0;
  for (var i = thread; i < range.size; i += THREADS) {
    values += gradient[i];
  }
  write_sum(thread, 0, values);
}

struct AdamW {
  size: u32,
  // Entries of squares.
  tensors: u32,
  // Logarithms and complements come from the host, in f64 there: 1 - beta cancels.
  log_beta1: f32,
  log_beta2: f32,
  one_minus_beta1: f32,
  one_minus_beta2: f32,
  eps: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> options: AdamW;
@group(0) @binding(1) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(2) var<storage, read_write> batch_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<storage, read> squares: array<f32>;
@group(0) @binding(6) var<uniform> step: f32;
@group(0) @binding(7) var<uniform> rate: f32;
@group(0) @binding(8) var<uniform> scale: f32;
@group(0) @binding(9) var<uniform> clip: f32;

// By its bits: in arithmetic WGSL may take for granted that nothing is infinite or NaN.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000) != 0x7f800000;
}

fn sum_squares(thread: u32) -> f32 {
  var own = 0.0;
  for (var i = thread; i < options.tensors; i += THREADS) {
    own += squares[i];
  }
  return sum_threads(thread, own);
}

// What gradients are multiplied by: the scale, and clipping to the norm over all parameters.
fn gradient_factor(square: f32) -> f32 {
  if (!is_finite(clip)) {
    return scale;
  }
  return scale * min(1, clip / (scale * sqrt(square) + 1e-6));
}

// 1 - e^x for x <= 0: near 0, where it would cancel, x (1 + x/2 (1 + x/3 (1 + ...))), whose 12th term is below 2^-28.
fn one_minus_exp(x: f32) -> f32 {
  if (x < -1) {
    return 1 - exp(x);
  }
  var series = 1.0;
  for (var k = 11.0; k > 1; k -= 1) {
    series = fma(x / k, series, 1);
  }
  return -x * series;
}

@compute @workgroup_size(THREADS)
fn adamw(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let square = sum_squares(thread);
  let skipped = !is_finite(square);
  let factor = gradient_factor(square);
  let decay = 1 - rate * options.weight_decay;
  let step_size = rate / one_minus_exp(step * options.log_beta1);
  let root = sqrt(one_minus_exp(step * options.log_beta2));
  for (var i = group.x * THREADS + thread; i < options.size; i += groups.x * THREADS) {
    let g = batch_gradient[i] * factor;
    batch_gradient[i] = 0;
    if (skipped) {
      continue;
    }
    let new_m = fma(options.one_minus_beta1, g - m[i], m[i]);
    let new_v = fma(options.one_minus_beta2, g * g - v[i], v[i]);
    m[i] = new_m;
    v[i] = new_v;
    parameter[i] = fma(-step_size, new_m / (sqrt(new_v) / root + options.eps), parameter[i] * decay);
  }
}
