/** How subgroup matrices are called. */
interface MatrixNames {
  /** Of the adapter and the device. */
  readonly feature: string;
  /** After `enable`, in WGSL. */
  readonly extension: string;
  /** The diagnostic about calls in control flow that a compiler cannot prove to be uniform. */
  readonly rule: string;
}

/** The names of the standard to come, in which kernels are written (gpuweb, proposals/subgroup-matrix.md). */
const STANDARD: MatrixNames = {
  feature: 'subgroup-matrix',
  extension: 'subgroup_matrix',
  rule: 'subgroup_matrix_uniformity',
};

/** Names by which a device may know subgroup matrices; the second are those of Dawn's experiment. */
const NAMES: readonly MatrixNames[] = [
  STANDARD,
  {
    feature: 'chromium-experimental-subgroup-matrix',
    extension: 'chromium_experimental_subgroup_matrix',
    rule: 'chromium.subgroup_matrix_uniformity',
  },
];

const SIZE_CONTROL = 'subgroup-size-control';

/** Features that kernels on subgroup matrices use, where a device has them. */
export const MATRIX_FEATURES = [...NAMES.map(({ feature }) => feature), SIZE_CONTROL] as GPUFeatureName[];

/** How a device wants to be spoken to about subgroup matrices. */
export interface Dialect {
  /** Undefined: it has none that kernels could use. */
  readonly matrices: MatrixNames | undefined;
  /** Threads of a subgroup for kernels to ask for; undefined: they cannot ask, or there is only one size. */
  readonly subgroup: number | undefined;
}

/** What works on a device, tried out on small shaders: names change from one release of a driver or of Dawn to the next. */
export async function dialectOf(device: GPUDevice, info: GPUAdapterInfo): Promise<Dialect> {
  const known = NAMES.filter(({ feature }) => device.features.has(feature));
  const compiled = await Promise.all(
    known.map((matrices) => compiles(device, translated(PROBE, { matrices }))),
  );
  const matrices = known.find((_, i) => compiled[i]);
  return { matrices, subgroup: matrices && (await smallestSubgroup(device, info)) };
}

/** A kernel's text for a device. */
export function translated(code: string, { matrices = STANDARD, subgroup }: Partial<Dialect>): string {
  const named = code
    .replace(`enable ${STANDARD.extension};`, `enable ${matrices.extension};`)
    .replace(`diagnostic(off, ${STANDARD.rule});`, `diagnostic(off, ${matrices.rule});`);
  if (subgroup !== undefined) return named;
  return named.replace('enable subgroup_size_control;', '').replace(/@subgroup_size\(\w+\)/g, '');
}

/** Loads, multiplies and stores as kernels do: majorness is a type, offsets and strides count elements of the array. */
const PROBE = `
enable f16;
enable subgroup_matrix;
diagnostic(off, subgroup_matrix_uniformity);

@group(0) @binding(0) var<storage, read_write> cells: array<vec4u>;

@compute @workgroup_size(128)
fn probe() {
  let x = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&cells, 0, 2);
  let w = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&cells, 32, 2);
  let sum = subgroupMatrixMultiplyAccumulate(x, w, subgroup_matrix_result<f32, 16, 16>());
  subgroupMatrixStore<row_major>(&cells, 64, sum, 4);
}
`;

async function compiles(device: GPUDevice, code: string): Promise<boolean> {
  device.pushErrorScope('validation');
  device.createShaderModule({ label: 'probe', code });
  return (await device.popErrorScope()) === null;
}

/**
 * The smallest size that a driver makes a pipeline for. Matrix units take the matrices of a subgroup that is no wider
 * than they are: 32 of AMD's 64, 16 of Intel's 32.
 */
async function smallestSubgroup(device: GPUDevice, info: GPUAdapterInfo): Promise<number | undefined> {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  if (!device.features.has(SIZE_CONTROL) || !least || !most || least === most) return undefined;
  for (let size = least; size <= most; size *= 2) {
    const code = `enable subgroup_size_control; @compute @workgroup_size(128) @subgroup_size(${size}) fn probe() {}`;
    const module = device.createShaderModule({ label: 'probe', code });
    const made = device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const works = await made.then(
      () => true,
      () => false,
    );
    if (works) return size;
  }
  return undefined;
}
