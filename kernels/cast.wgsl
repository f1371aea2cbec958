// Conversions of storage between element types, two f16 to a word (the first in the low half):
//   bf16_to_f16, f32_to_f16   what the host writes, into a value that is stored as f16
//   f16_to_f32                what is stored, for the host to read
// Each thread computes words of f16 one grid's width apart. Writes (=).

override THREADS: u32 = 256;

struct Shape {
  // Words of f16.
  words: u32,
  // Where they begin in their buffer.
  first: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(THREADS)
fn bf16_to_f16(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.words; i += groups.x * THREADS) {
    let pair = source[i];
    result[shape.first + i] = pack2x16float(bitcast<vec2f>(vec2u(pair << 16, pair & 0xffff0000)));
  }
}

@compute @workgroup_size(THREADS)
fn f32_to_f16(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.words; i += groups.x * THREADS) {
    result[shape.first + i] = pack2x16float(bitcast<vec2f>(vec2u(source[2 * i], source[2 * i + 1])));
  }
}

@compute @workgroup_size(THREADS)
fn f16_to_f32(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.words; i += groups.x * THREADS) {
    let pair = unpack2x16float(source[shape.first + i]);
    result[2 * i] = bitcast<u32>(pair.x);
    result[2 * i + 1] = bitcast<u32>(pair.y);
  }
}
