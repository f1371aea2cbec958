// add  y = x + z, elementwise; x, z, y [size]
// Each thread computes elements that are one grid's width apart. Writes (=).

override THREADS: u32 = 256;

// Where an operand is: in its binding (1), or in y, which takes over its storage.
const IN_PLACE: u32 = 2;

struct Shape {
  size: u32,
  x: u32,
  z: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> z: array<Z>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

fn x_element(i: u32) -> f32 {
  if (shape.x == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(x[i]);
}

fn z_element(i: u32) -> f32 {
  if (shape.z == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(z[i]);
}

@compute @workgroup_size(THREADS)
fn add(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.size; i += groups.x * THREADS) {
    y[i] = Y(x_element(i) + z_element(i));
  }
}
