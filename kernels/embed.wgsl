// embed           x_t = weight[tokens_t]
// embed_dw_start  dw = base, or 0 without one
// embed_dw_links  links_t = (the first, the next) place of tokens_t; `token_count` where there is no next
// embed_dw        dw[tokens_t] += dx_t, in the order of t
// tokens [T], weight [V, width], x, dx [T, width], base, dw [V, width], links [T].
// Tables are seen in ranges of their rows, one dispatch each: tokens of other ranges are left out.
// embed: one workgroup copies one token's row at a time. embed_dw: one workgroup adds up THREADS columns of the row of
// one token at a time, at the token's first place, following the links. The others: each thread computes elements
// that are one grid's width apart. All write (=) but embed_dw (+=).

override THREADS: u32 = 256;

// Weights are words: one f32, or two bf16 / f16 (the first in the low half).
const F32: u32 = 0;
const BF16: u32 = 1;
override DTYPE: u32 = F32;

struct Shape {
  token_count: u32,
  width: u32,
  // The range: its first row in the table, and its rows.
  first_row: u32,
  rows: u32,
  // embed_dw_start only: whether there is a base.
  base: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;

@group(0) @binding(2) var<storage, read> weight: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

fn weight_element(index: u32) -> f32 {
  if (DTYPE == F32) {
    return bitcast<f32>(weight[index]);
  }
  let word = weight[index / 2];
  let high = index % 2 == 1;
  if (DTYPE == BF16) {
    return bitcast<f32>(select(word << 16, word & 0xffff0000, high));
  }
  let pair = unpack2x16float(word);
  return select(pair.x, pair.y, high);
}

@compute @workgroup_size(THREADS)
fn embed(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var t = group.x; t < shape.token_count; t += groups.x) {
    // Wraps around, and so is too large, for a row before the range.
    let row = tokens[t] - shape.first_row;
    if (row >= shape.rows) {
      continue;
    }
    for (var j = thread; j < shape.width; j += THREADS) {
      x[t * shape.width + j] = weight_element(row * shape.width + j);
    }
  }
}

@group(0) @binding(1) var<storage, read> base: array<B>;
@group(0) @binding(2) var<storage, read_write> dw_start: array<f32>;

@compute @workgroup_size(THREADS)
fn embed_dw_start(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.rows * shape.width; i += groups.x * THREADS) {
    var value = 0.0;
    if (shape.base > 0) {
      value = f32(base[i]);
    }
    dw_start[i] = value;
  }
}

struct Link {
  first: u32,
  next: u32,
}

@group(0) @binding(2) var<storage, read_write> links: array<Link>;

@compute @workgroup_size(THREADS)
fn embed_dw_links(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var t = id.x; t < shape.token_count; t += groups.x * THREADS) {
    let token = tokens[t];
    var first = 0u;
    while (first < t && tokens[first] != token) {
      first++;
    }
    var next = t + 1;
    while (next < shape.token_count && tokens[next] != token) {
      next++;
    }
    links[t] = Link(first, next);
  }
}

@group(0) @binding(2) var<storage, read> links_dw: array<Link>;
@group(0) @binding(3) var<storage, read> dx: array<DX>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(THREADS)
fn embed_dw(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var t = group.x; t < shape.token_count; t += groups.x) {
    let row = tokens[t] - shape.first_row;
    if (row >= shape.rows || links_dw[t].first < t) {
      continue;
    }
    for (var j = group.y * THREADS + thread; j < shape.width; j += groups.y * THREADS) {
      var sum = dw[row * shape.width + j];
      for (var s = t; s < shape.token_count; s = links_dw[s].next) {
        sum += f32(dx[s * shape.width + j]);
      }
      dw[row * shape.width + j] = sum;
    }
  }
}
