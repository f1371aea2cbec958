// scatter  target[places_t] = x_t: x [T, width], places [T], target [.., width]; NO_PLACE is kept nowhere
// Each thread copies elements that are one grid's width apart. Writes (=) the places that are named.

override THREADS: u32 = 256;

const NO_PLACE: u32 = 0xffffffff;

struct Shape {
  elements: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> target_rows: array<f32>;

@compute @workgroup_size(THREADS)
fn scatter(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.elements; i += groups.x * THREADS) {
    let place = places[i / shape.width];
    if (place != NO_PLACE) {
      target_rows[place * shape.width + i % shape.width] = f32(x[i]);
    }
  }
}
