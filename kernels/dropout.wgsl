// dropout  y = x scale where hash(seed, step, site, place_t, j) >= threshold, else 0; its own backward.
//          x, y [tokens, width], seed_step [2], place [tokens]; hash: src/program/ops/dropout.ts
// One workgroup computes one token at a time, then the token `workgroups` further on. Writes (=).

override THREADS: u32 = 256;

const GOLDEN: u32 = 0x9e3779b9;

// Where x is: in its binding (1), or in y, which takes over its storage.
const IN_PLACE: u32 = 2;

struct Shape {
  tokens: u32,
  width: u32,
  site: u32,
  threshold: u32,
  scale: f32,
  x: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> seed_step: array<u32>;
@group(0) @binding(3) var<storage, read> place: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// lowbias32 (C. Wellons).
fn mix32(value: u32) -> u32 {
  var v = value;
  v = (v ^ (v >> 16)) * 0x7feb352d;
  v = (v ^ (v >> 15)) * 0x846ca68b;
  return v ^ (v >> 16);
}

fn absorb(state: u32, value: u32) -> u32 {
  return mix32((state ^ value) + GOLDEN);
}

fn x_element(i: u32) -> f32 {
  if (shape.x == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(x[i]);
}

@compute @workgroup_size(THREADS)
fn dropout(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let call = absorb(absorb(absorb(0, seed_step[0]), seed_step[1]), shape.site);
  for (var token = group.x; token < shape.tokens; token += groups.x) {
    let key = absorb(call, place[token]);
    for (var j = thread; j < shape.width; j += THREADS) {
      let i = token * shape.width + j;
      let kept = mix32(mix32(key + j * GOLDEN) ^ key) >= shape.threshold;
      y[i] = Y(select(0, x_element(i) * shape.scale, kept));
    }
  }
}
