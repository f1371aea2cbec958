/**
 * A text of kernels/ without subgroup matrices, for adapters that have none: factors are places in memory, read where they
 * are multiplied, and each thread of a subgroup holds every `threads`-th element of a sum.
 * @param threads of a subgroup, a multiple of the columns of a sum
 */
export function emulateMatrices(code: string, threads: number): string {
  if (!code.includes('enable subgroup_matrix;')) return code;
  const halves = [...code.matchAll(/var<storage, read> (\w+): array<f16>/g)].map(([, name]) => name!);
  const source = code.includes('cells: array<Cell') ? CELLS : SCORES;
  const buffers = [...halves, source.factors];
  const emulated = code
    .replace('enable subgroup_matrix;', '')
    .replace('diagnostic(off, subgroup_matrix_uniformity);', '')
    .replace(/subgroup_matrix_(left|right)<f16, \w+, \w+>/g, 'EmulatedFactor')
    .replace(/subgroup_matrix_result<f32, \w+, \w+>/g, 'EmulatedSum')
    .replace('ptr<storage, array<f16>, read>', 'u32')
    .replace(new RegExp(`&(${buffers.join('|')}), `, 'g'), 'EMULATED_$1, ')
    .replace(/subgroupMatrixLoad<\w+, (row|col)_major>\(/g, 'emulated_load_$1(')
    .replace(/subgroupMatrixStore<row_major>\((&|EMULATED_)\w+, /g, 'emulated_store(')
    .replaceAll('subgroupMatrixMultiplyAccumulate(', 'emulated_multiply(')
    .replace('k < TILE_K; k += MATRIX_K', 'k < TILE_K * emulated_one; k += MATRIX_K')
    .replaceAll('@builtin(subgroup_id) subgroup: u32', '@builtin(local_invocation_id) emulated_id: vec3u')
    .replace(/emulated_id: vec3u[^{]*\{/g, `$&${entry(source.number)}`);
  const left = emulated.match(/subgroup_?matrix\w*/i);
  if (left) throw new Error(`Expected subgroup matrices that the emulation knows, found ${left[0]}`);
  return [
    emulated,
    `const EMULATED_THREADS: u32 = ${threads};`,
    ...buffers.map((name, i) => `const EMULATED_${name}: u32 = ${i};`),
    readers(halves, source),
    EMULATION,
    storing(source),
  ].join('\n');
}

interface Workgroup {
  /** The buffer in workgroup memory that factors come from, and how its halves are read and a sum is stored. */
  readonly factors: string;
  readonly half: string;
  readonly store: string;
  /** Halves in an element, by which offsets and strides count. */
  readonly width: number;
  /** A number of the uniform that is never 0. */
  readonly number: string;
}

/** kernels/linear_matrix.wgsl. */
const CELLS: Workgroup = {
  factors: 'cells',
  half: 'f32(bitcast<vec2<f16>>(cells[at / 8][at / 2 % 4])[at % 2])',
  store: `
    let at = 4 * (offset + emulated_row(i) * stride) + emulated_thread % MATRIX_N;
    cells[at / 4][at % 4] = bitcast<u32>(sum[i]);`,
  width: 8,
  number: 'shape.term_count',
};

/** kernels/attention_matrix.wgsl. */
const SCORES: Workgroup = {
  factors: 'halves',
  half: 'f32(halves[at])',
  store: `
    scores[offset + emulated_row(i) * stride + emulated_thread % MATRIX_N] = sum[i];`,
  width: 1,
  number: 'shape.heads',
};

const storing = ({ store }: Workgroup): string => `
fn emulated_store(offset: u32, sum: EmulatedSum, stride: u32) {
  for (var i = 0u; i < EMULATED_SHARE; i++) {${store}
  }
}
`;

const entry = (number: string): string => `
  emulated_thread = emulated_id.x % EMULATED_THREADS;
  emulated_one = ${number} / ${number};
  let subgroup = emulated_id.x / EMULATED_THREADS;`;

const readers = (halves: readonly string[], { factors, half, width }: Workgroup): string => `
fn emulated_width(buffer: u32) -> u32 {
  return select(1u, ${width}u, buffer == EMULATED_${factors});
}

fn emulated_element(buffer: u32, at: u32) -> f32 {
  switch buffer {
${halves.map((name) => `    case EMULATED_${name}: { return f32(${name}[at]); }`).join('\n')}
    default: { return ${half}; }
  }
}
`;

const EMULATION = `
var<private> emulated_thread: u32;
// 1, of which the driver does not know: it would unroll every loop whose end it knows.
var<private> emulated_one: u32;

// Element (row, column) is the half at first + row * steps.x + column * steps.y of the buffer.
struct EmulatedFactor {
  buffer: u32,
  first: u32,
  steps: vec2u,
}

const EMULATED_SHARE: u32 = MATRIX_M * MATRIX_N / EMULATED_THREADS;
alias EmulatedSum = array<f32, EMULATED_SHARE>;

fn emulated_load_row(buffer: u32, offset: u32, stride: u32) -> EmulatedFactor {
  let width = emulated_width(buffer);
  return EmulatedFactor(buffer, width * offset, vec2u(width * stride, 1));
}

fn emulated_load_col(buffer: u32, offset: u32, stride: u32) -> EmulatedFactor {
  let width = emulated_width(buffer);
  return EmulatedFactor(buffer, width * offset, vec2u(1, width * stride));
}

fn emulated_half(factor: EmulatedFactor, row: u32, column: u32) -> f32 {
  return emulated_element(factor.buffer, factor.first + row * factor.steps.x + column * factor.steps.y);
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
`;
