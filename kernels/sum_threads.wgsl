// The threads of a workgroup, and sums over all of them: by halves, so in an order that depends on their number alone.
// Open: Summed, f32 or a vector of it.

// A power of two.
override THREADS: u32 = 256;

var<workgroup> partials: array<Summed, THREADS>;

// The sum of `value` over all threads.
fn sum_threads(thread: u32, value: Summed) -> Summed {
  partials[thread] = value;
  for (var half = THREADS / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) {
      partials[thread] += partials[thread + half];
    }
  }
  return workgroupUniformLoad(&partials[0]);
}
