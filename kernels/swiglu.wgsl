// swiglu     y = silu(gate) up, silu(g) = g sigma(g), sigma(g) = 1 / (1 + e^-g)
// swiglu_dx  d_gate = dy up sigma(gate) (1 + gate (1 - sigma(gate))), d_up = dy silu(gate)
// All [size]. Each thread computes elements that are one grid's width apart. Both write (=).

override THREADS: u32 = 256;

// Where an operand is: in its binding (1), or in the output that takes over its storage: gate in y or d_gate, up in y
// or d_up, dy in d_up.
const IN_PLACE: u32 = 2;

// The largest x whose e^x is surely finite: WGSL leaves undefined what comes of an infinity.
const LARGEST_EXPONENT: f32 = 88;

struct Shape {
  size: u32,
  gate: u32,
  up: u32,
  // swiglu_dx only.
  dy: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;

fn sigma(x: f32) -> f32 {
  return 1 / (1 + exp(min(-x, LARGEST_EXPONENT)));
}

@group(0) @binding(1) var<storage, read> gate: array<G>;
@group(0) @binding(2) var<storage, read> up: array<U>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

fn gate_element(i: u32) -> f32 {
  if (shape.gate == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(gate[i]);
}

fn up_element(i: u32) -> f32 {
  if (shape.up == IN_PLACE) {
    return f32(y[i]);
  }
  return f32(up[i]);
}

@compute @workgroup_size(THREADS)
fn swiglu(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.size; i += groups.x * THREADS) {
    let g = gate_element(i);
    y[i] = Y(g * sigma(g) * up_element(i));
  }
}

@group(0) @binding(1) var<storage, read> dy: array<DY>;
@group(0) @binding(2) var<storage, read> gate_dx: array<G>;
@group(0) @binding(3) var<storage, read> up_dx: array<U>;
@group(0) @binding(4) var<storage, read_write> d_gate: array<DG>;
@group(0) @binding(5) var<storage, read_write> d_up: array<DU>;

fn dy_element(i: u32) -> f32 {
  if (shape.dy == IN_PLACE) {
    return f32(d_up[i]);
  }
  return f32(dy[i]);
}

fn gate_dx_element(i: u32) -> f32 {
  if (shape.gate == IN_PLACE) {
    return f32(d_gate[i]);
  }
  return f32(gate_dx[i]);
}

fn up_dx_element(i: u32) -> f32 {
  if (shape.up == IN_PLACE) {
    return f32(d_up[i]);
  }
  return f32(up_dx[i]);
}

@compute @workgroup_size(THREADS)
fn swiglu_dx(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < shape.size; i += groups.x * THREADS) {
    let d = dy_element(i);
    let g = gate_dx_element(i);
    let s = sigma(g);
    let slope = s * fma(g, 1 - s, 1);
    let gate_gradient = d * up_dx_element(i) * slope;
    d_gate[i] = DG(gate_gradient);
    d_up[i] = DU(d * g * s);
  }
}
