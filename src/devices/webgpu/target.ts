import { InputError } from '../../base/errors.js';
import { describeAdapter, isSoftware } from './adapter.js';
import type { Dialect } from './dialect.js';
import type { Matrices, Target } from './lowering/lowering.js';

/** f32 | f16: activations and frozen matrices in halves | matrix: that, multiplied by subgroup matrices. */
export type KernelKind = 'f32' | 'f16' | 'matrix';

/** What an adapter tells of a kind of subgroup matrices. */
interface MatrixConfiguration {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/**
 * What kernels are made for on this adapter. `auto` is the last kind that it offers, but f32 on a CPU that plays a
 * GPU, where halves only cost time. Throws an InputError where it lacks what `wanted` needs.
 * @param dialect of its devices
 */
export function targetOf(
  adapter: GPUAdapter,
  dialect: Dialect,
  wanted: 'auto' | KernelKind = 'auto',
): Target {
  const { limits, info } = adapter;
  const matrices = matricesOf(info, dialect);
  const offered: KernelKind[] = ['f32'];
  if (adapter.features.has('shader-f16')) offered.push('f16', ...(matrices ? (['matrix'] as const) : []));
  const kind = wanted === 'auto' ? (isSoftware(info) ? 'f32' : offered.at(-1)!) : wanted;
  if (!offered.includes(kind)) {
    throw new InputError(
      `--kernels: expected one of ${offered.join(', ')} on ${describeAdapter(info)}, found ${kind}: ` +
        'leave it out, or update the driver',
    );
  }
  return {
    bufferBytes: limits.maxBufferSize,
    bindingBytes: limits.maxStorageBufferBindingSize,
    groups: limits.maxComputeWorkgroupsPerDimension,
    workgroupBytes: limits.maxComputeWorkgroupStorageSize,
    precision: kind === 'f32' ? 'f32' : 'f16',
    matrices: kind === 'matrix' ? matrices : null,
    ...lanesOf(adapter),
  };
}

function lanesOf({ features, info }: GPUAdapter): Pick<Target, 'lanes'> {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  return isSoftware(info) && features.has('subgroups') && most && least === most ? { lanes: most } : {};
}

/** The configuration with halves as factors and f32 as sums, the largest where there are several. */
function matricesOf(info: GPUAdapterInfo, { matrices, subgroup }: Dialect): Matrices | null {
  if (!matrices) return null;
  const { subgroupMatrixConfigs } = info as { subgroupMatrixConfigs?: Iterable<MatrixConfiguration> };
  const usable = [...(subgroupMatrixConfigs ?? [])].filter(
    ({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32',
  );
  const [best] = usable.sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  if (!best) return null;
  return { m: best.M, n: best.N, k: best.K, subgroup: subgroup ?? info.subgroupMaxSize ?? 32 };
}
