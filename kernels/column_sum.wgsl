// column_sum  parts[part] = the sum of a part's rows of x
// sum_parts   y = [base +] the sum of the parts, in their order
// x [rows, width], parts [parts, width], base, y [width].
// column_sum: one workgroup sums COLUMNS columns of one part; each thread every LANES-th row of one column, then the
// lanes in their order. Grid: (ceil(width / COLUMNS), parts). sum_parts: each thread computes one column at a time.
// Both write (=); with base = IN_PLACE, it is what y holds (+=).

override THREADS: u32 = 256;
const COLUMNS: u32 = 64;
override LANES: u32 = THREADS / COLUMNS;

// Where the base is: nowhere (0), in its binding, or in y, which takes over its storage.
const SEPARATE: u32 = 1;
const IN_PLACE: u32 = 2;

struct Shape {
  width: u32,
  // column_sum only.
  rows: u32,
  rows_per_part: u32,
  // sum_parts only.
  parts: u32,
  base: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

var<workgroup> lanes: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn column_sum(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * COLUMNS + thread % COLUMNS;
  let end = min((group.y + 1) * shape.rows_per_part, shape.rows);
  var sum = 0.0;
  if (column < shape.width) {
    for (var row = group.y * shape.rows_per_part + thread / COLUMNS; row < end; row += LANES) {
      sum += f32(x[row * shape.width + column]);
    }
  }
  lanes[thread] = sum;
  workgroupBarrier();
  if (thread < COLUMNS && column < shape.width) {
    for (var lane = 1u; lane < LANES; lane++) {
      sum += lanes[lane * COLUMNS + thread];
    }
    parts[group.y * shape.width + column] = sum;
  }
}

@group(0) @binding(1) var<storage, read> base: array<B>;
@group(0) @binding(2) var<storage, read> summands: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(THREADS)
fn sum_parts(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var j = id.x; j < shape.width; j += groups.x * THREADS) {
    var sum = 0.0;
    for (var part = 0u; part < shape.parts; part++) {
      sum += summands[part * shape.width + j];
    }
    if (shape.base == SEPARATE) {
      sum += f32(base[j]);
    } else if (shape.base == IN_PLACE) {
      sum += f32(y[j]);
    }
    y[j] = Y(sum);
  }
}
