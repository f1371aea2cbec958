/**
 * A text of kernels/ without subgroup matrices, for adapters that have none: factors are places in workgroup memory, read
 * where they are multiplied, and each thread of a subgroup holds every `threads`-th element of a sum.
 * @param threads of a subgroup, a multiple of the columns of a sum
 */
export function emulateMatrices(code: string, threads: number): string {
  if (!code.includes('enable chromium_experimental_subgroup_matrix;')) return code;
  const emulated = code
    .replace('enable chromium_experimental_subgroup_matrix;', '')
    .replace('diagnostic(off, chromium.subgroup_matrix_uniformity);', '')
    .replace(/subgroup_matrix_(left|right)<f16, \w+, \w+>/g, 'EmulatedFactor')
    .replace(/subgroup_matrix_result<f32, \w+, \w+>/g, 'EmulatedSum')
    .replace(/subgroupMatrixLoad<\w+, (row|col)_major>\(&cells, /g, 'emulated_load_$1(')
    .replace(/subgroupMatrixStore<row_major>\(&cells, /g, 'emulated_store(')
    .replaceAll('subgroupMatrixMultiplyAccumulate(', 'emulated_multiply(')
    .replace('k < TILE_K; k += MATRIX_K', 'k < TILE_K * emulated_one; k += MATRIX_K')
    .replace('@builtin(subgroup_id) subgroup: u32', '@builtin(local_invocation_id) emulated_id: vec3u')
    .replace('let tile = tile_of(group);', `${ENTRY}\n  $&`);
  const left = emulated.match(/subgroup_?matrix\w*/i);
  if (left) throw new Error(`Expected subgroup matrices that the emulation knows, found ${left[0]}`);
  return `${emulated}\nconst EMULATED_THREADS: u32 = ${threads};\n${EMULATION}`;
}

const ENTRY = `emulated_thread = emulated_id.x % EMULATED_THREADS;
  emulated_one = shape.term_count / shape.term_count;
  let subgroup = emulated_id.x / EMULATED_THREADS;`;

const EMULATION = `
var<private> emulated_thread: u32;
// 1, of which the driver does not know: it would unroll every loop whose end it knows.
var<private> emulated_one: u32;

// Element (row, column) is the half at first + row * steps.x + column * steps.y in cells.
struct EmulatedFactor {
  first: u32,
  steps: vec2u,
}

const EMULATED_SHARE: u32 = MATRIX_M * MATRIX_N / EMULATED_THREADS;
alias EmulatedSum = array<f32, EMULATED_SHARE>;

fn emulated_load_row(offset: u32, stride: u32) -> EmulatedFactor {
  return EmulatedFactor(8 * offset, vec2u(8 * stride, 1));
}

fn emulated_load_col(offset: u32, stride: u32) -> EmulatedFactor {
  return EmulatedFactor(8 * offset, vec2u(1, 8 * stride));
}

fn emulated_half(factor: EmulatedFactor, row: u32, column: u32) -> f32 {
  let at = factor.first + row * factor.steps.x + column * factor.steps.y;
  return f32(bitcast<vec2<f16>>(cells[at / 8][at / 2 % 4])[at % 2]);
}

// Row of a thread's i-th element; all are in one column.
fn emulated_row(i: u32) -> u32 {
  return (i * EMULATED_THREADS + emulated_thread) / MATRIX_N;
}

fn emulated_multiply(x: EmulatedFactor, w: EmulatedFactor, sum: EmulatedSum) -> EmulatedSum {
  var result = sum;
  let column = emulated_thread % MATRIX_N;
  for (var k = 0u; k < MATRIX_K * emulated_one; k++) {
    let half = emulated_half(w, k, column);
    for (var i = 0u; i < EMULATED_SHARE; i++) {
      result[i] = fma(emulated_half(x, emulated_row(i), k), half, result[i]);
    }
  }
  return result;
}

fn emulated_store(offset: u32, sum: EmulatedSum, stride: u32) {
  for (var i = 0u; i < EMULATED_SHARE; i++) {
    let at = 4 * offset + emulated_row(i) * 4 * stride + emulated_thread % MATRIX_N;
    cells[at / 4][at % 4] = bitcast<u32>(sum[i]);
  }
}
`;
