/**
 * kernels/attention_matrix.wgsl without subgroup matrices, for adapters that have none: factors are places in the buffers
 * they come from, read where they are multiplied, and each thread of a subgroup holds every `threads`-th element of a sum.
 * @param threads of a subgroup
 */
export function emulateAttention(code: string, threads: number): string {
  if (!code.includes('enable chromium_experimental_subgroup_matrix;')) return code;
  const buffers = new Set<string>();
  const emulated = code
    .replace('enable chromium_experimental_subgroup_matrix;', '')
    .replace('diagnostic(off, chromium.subgroup_matrix_uniformity);', '')
    .replace(/subgroup_matrix_(left|right)<f16, \w+, \w+>/g, 'EmulatedFactor')
    .replace(/subgroup_matrix_result<f32, \w+, \w+>/g, 'EmulatedSum')
    .replace(/subgroupMatrixLoad<\w+, (row|col)_major>\(&(\w+), /g, (_, order, buffer) => {
      buffers.add(buffer);
      return `emulated_load_${order}(EMULATED_${buffer}, `;
    })
    .replaceAll('subgroupMatrixStore<row_major>(&scores, ', 'emulated_store(')
    .replaceAll('subgroupMatrixMultiplyAccumulate(', 'emulated_multiply(')
    .replaceAll('@builtin(subgroup_id) subgroup: u32', '@builtin(local_invocation_id) emulated_id: vec3u')
    .replace(/emulated_id: vec3u[^{]*\{/g, `$&\n${ENTRY}`);
  const left = emulated.match(/subgroup_?matrix\w*/i);
  if (left) throw new Error(`Expected subgroup matrices that the emulation knows, found ${left[0]}`);
  const names = [...buffers];
  return [
    emulated,
    `const EMULATED_THREADS: u32 = ${threads};`,
    ...names.map((name, i) => `const EMULATED_${name}: u32 = ${i};`),
    `fn emulated_element(buffer: u32, at: u32) -> f32 {
  switch buffer {
${names.map((name) => `    case EMULATED_${name}: { return f32(${name}[at]); }`).join('\n')}
    default: { return 0; }
  }
}`,
    EMULATION,
  ].join('\n');
}

const ENTRY = `  emulated_thread = emulated_id.x % EMULATED_THREADS;
  let subgroup = emulated_id.x / EMULATED_THREADS;
  emulated_depth = MATRIX_K * select(1u, 2u, shape.sequence == 0);`;

const EMULATION = `
var<private> emulated_thread: u32;
// MATRIX_K, but for the driver, which would unroll a loop whose end it knows.
var<private> emulated_depth: u32;

// Element (row, column) is the half at first + row * steps.x + column * steps.y of the buffer.
struct EmulatedFactor {
  buffer: u32,
  first: u32,
  steps: vec2u,
}

const EMULATED_SHARE: u32 = MATRIX_M * MATRIX_N / EMULATED_THREADS;
alias EmulatedSum = array<f32, EMULATED_SHARE>;

fn emulated_load_row(buffer: u32, offset: u32, stride: u32) -> EmulatedFactor {
  return EmulatedFactor(buffer, offset, vec2u(stride, 1));
}

fn emulated_load_col(buffer: u32, offset: u32, stride: u32) -> EmulatedFactor {
  return EmulatedFactor(buffer, offset, vec2u(1, stride));
}

fn emulated_half(factor: EmulatedFactor, row: u32, column: u32) -> f32 {
  return emulated_element(factor.buffer, factor.first + row * factor.steps.x + column * factor.steps.y);
}

fn emulated_multiply(x: EmulatedFactor, w: EmulatedFactor, sum: EmulatedSum) -> EmulatedSum {
  var result = sum;
  for (var i = 0u; i < EMULATED_SHARE * emulated_depth / MATRIX_K; i++) {
    let at = i * EMULATED_THREADS + emulated_thread;
    for (var k = 0u; k < emulated_depth; k++) {
      result[i] = fma(emulated_half(x, at / MATRIX_N, k), emulated_half(w, k, at % MATRIX_N), result[i]);
    }
  }
  return result;
}

fn emulated_store(offset: u32, sum: EmulatedSum, stride: u32) {
  for (var i = 0u; i < EMULATED_SHARE; i++) {
    let place = i * EMULATED_THREADS + emulated_thread;
    scores[offset + place / MATRIX_N * stride + place % MATRIX_N] = sum[i];
  }
}
`;
