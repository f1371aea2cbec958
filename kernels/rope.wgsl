// rope  Rotates each head of x by its token's position, rotate-half layout (Su et al. 2021):
//         y_j = x_j cos_j - direction x_{j+half} sin_j,  y_{j+half} = x_{j+half} cos_j + direction x_j sin_j
//       direction 1 forward, -1 backward; x, y [tokens, heads * 2 half], positions [tokens],
//       table [.., 2 half]: half cosines, then half sines of a position
// Each thread rotates pairs (j, j + half) that are one grid's width apart. Writes (=).

override THREADS: u32 = 256;

// Where x is: in its binding (1), or in y, which takes over its storage.
const IN_PLACE: u32 = 2;

struct Shape {
  pairs: u32,
  width: u32,
  half: u32,
  direction: f32,
  x: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> angles: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

fn x_element(i: u32) -> f32 {
  if (shape.x == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(x[i]);
}

@compute @workgroup_size(THREADS)
fn rope(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var pair = id.x; pair < shape.pairs; pair += groups.x * THREADS) {
    let j = pair % shape.half;
    let low = 2 * pair - j;
    let high = low + shape.half;
    let angle = positions[low / shape.width] * 2 * shape.half + j;
    let cosine = angles[angle];
    let sine = shape.direction * angles[angle + shape.half];
    let a = x_element(low);
    let b = x_element(high);
    y[low] = Y(fma(-b, sine, a * cosine));
    y[high] = Y(fma(a, sine, b * cosine));
  }
}
