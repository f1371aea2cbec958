// Causal attention of new tokens over what a cache holds of their row, and over new tokens of their own document: token t
// of a row sees its first cached_row keys, and the new tokens t - (positions[t] - cached_row) .. t.
//   cached_attention  o = softmax(scale q k^T) v
// q, o [tokens, heads head_dim]; k, v [tokens, key_value_heads head_dim]; keys, values [rows, capacity, key_value_heads
// head_dim]; cached [rows]; query head h reads key-value head h key_value_heads / heads.
// One workgroup computes one head of one token. Keys come THREADS at a time, one to a thread; the largest score and the
// sum follow (Milakov & Gimelshein 2018). Then each thread adds up its columns of the values. Writes (=).

override THREADS: u32 = 64;
// Columns of the outputs that a thread has, at most: heads of up to 256.
const MOST_COLUMNS: u32 = 4;
// Below every score; e^(LOWEST - anything) is 0.
const LOWEST: f32 = -3.0e38;

struct Shape {
  sequence: u32,
  heads: u32,
  key_value_heads: u32,
  head_dim: u32,
  scale: f32,
  capacity: u32,
  // Heads of all tokens.
  workgroups: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> q: array<Q>;
@group(0) @binding(2) var<storage, read> k: array<K>;
@group(0) @binding(3) var<storage, read> v: array<V>;
// Of tokens, then cached of rows.
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> cached: array<u32>;
@group(0) @binding(6) var<storage, read> keys: array<f32>;
@group(0) @binding(7) var<storage, read> values: array<f32>;
@group(0) @binding(8) var<storage, read_write> o: array<O>;

var<workgroup> query: array<f32, 256>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> partial: array<f32, THREADS>;

// The largest, or the sum, of a value of each thread.
fn over_threads(thread: u32, value: f32, sum: bool) -> f32 {
  partial[thread] = value;
  for (var half = THREADS / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) {
      let other = partial[thread + half];
      partial[thread] = select(max(partial[thread], other), partial[thread] + other, sum);
    }
  }
  return workgroupUniformLoad(&partial[0]);
}

// Elements of the first key that is read, and between two keys, of the cache and of the new tokens.
struct Keys {
  old: u32,
  recent: u32,
  stride: u32,
  // How many are old, and all.
  past: u32,
  count: u32,
}

// Where key j of a token begins.
fn key_start(at: Keys, j: u32) -> u32 {
  return select(at.recent + (j - at.past) * at.stride, at.old + j * at.stride, j < at.past);
}

fn score(at: Keys, j: u32) -> f32 {
  let start = key_start(at, j);
  var sum = 0.0;
  for (var d = 0u; d < shape.head_dim; d++) {
    if (j < at.past) {
      sum = fma(query[d], keys[start + d], sum);
    } else {
      sum = fma(query[d], f32(k[start + d]), sum);
    }
  }
  return shape.scale * sum;
}

fn value_at(at: Keys, j: u32, d: u32) -> f32 {
  let start = key_start(at, j);
  if (j < at.past) {
    return values[start + d];
  }
  return f32(v[start + d]);
}

fn keys_of(token: u32, shared_head: u32) -> Keys {
  let row = token / shape.sequence;
  let past = cached[row];
  let back = positions[token] - past;
  let stride = shape.key_value_heads * shape.head_dim;
  let corner = shared_head * shape.head_dim;
  let recent = (token - back) * stride + corner;
  return Keys(row * shape.capacity * stride + corner, recent, stride, past, past + back + 1);
}

@compute @workgroup_size(THREADS)
fn cached_attention(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var at = group.x; at < shape.workgroups; at += groups.x) {
    let token = at / shape.heads;
    let head = at % shape.heads;
    let place = keys_of(token, head * shape.key_value_heads / shape.heads);
    let count = place.count;
    let first = at * shape.head_dim;
    workgroupBarrier();
    for (var d = thread; d < shape.head_dim; d += THREADS) {
      query[d] = f32(q[first + d]);
    }
    workgroupBarrier();
    var maximum = LOWEST;
    var total = 0.0;
    var sums: array<f32, MOST_COLUMNS>;
    for (var begin = 0u; begin < count; begin += THREADS) {
      let j = begin + thread;
      var s = LOWEST;
      if (j < count) {
        s = score(place, j);
      }
      let largest = max(maximum, over_threads(thread, s, false));
      let shrink = exp(maximum - largest);
      maximum = largest;
      let weight = select(0.0, exp(s - largest), j < count);
      weights[thread] = weight;
      total = fma(total, shrink, over_threads(thread, weight, true));
      let end = min(THREADS, count - begin);
      for (var c = 0u; c < MOST_COLUMNS; c++) {
        let d = thread + c * THREADS;
        if (d < shape.head_dim) {
          var sum = sums[c] * shrink;
          for (var i = 0u; i < end; i++) {
            sum = fma(weights[i], value_at(place, begin + i, d), sum);
          }
          sums[c] = sum;
        }
      }
      workgroupBarrier();
    }
    for (var c = 0u; c < MOST_COLUMNS; c++) {
      let d = thread + c * THREADS;
      if (d < shape.head_dim) {
        o[first + d] = O(sums[c] / total);
      }
    }
  }
}
