/** Dense f16 tensor-core TFLOP/s with f32 sums, f32 TFLOP/s, and memory bandwidth in TB/s, from the vendor's data sheets. */
interface Peak {
  readonly f16: number;
  readonly f32: number;
  readonly bandwidth: number;
}

const PEAKS: readonly (readonly [RegExp, Peak])[] = [
  [/H200/, { f16: 989, f32: 67, bandwidth: 4.8 }],
  [/H100 PCIe/, { f16: 756, f32: 51, bandwidth: 2.0 }],
  [/H100/, { f16: 989, f32: 67, bandwidth: 3.35 }],
  [/A100/, { f16: 312, f32: 19.5, bandwidth: 2.0 }],
  [/L40S/, { f16: 362, f32: 91.6, bandwidth: 0.864 }],
  [/RTX 4090/, { f16: 165, f32: 82.6, bandwidth: 1.008 }],
  [/RTX 3090/, { f16: 71, f32: 35.6, bandwidth: 0.936 }],
  [/Tesla T4/, { f16: 65, f32: 8.1, bandwidth: 0.32 }],
];

/** What a device described like this can do at most: GFLOP/s and GB/s; undefined where it is not known. */
export function peakOf(description: string): { readonly gflops: number; readonly gbps: number } | undefined {
  const peak = PEAKS.find(([name]) => name.test(description))?.[1];
  if (!peak) return undefined;
  const tensorCores = description.includes('matrix kernels');
  return { gflops: 1000 * (tensorCores ? peak.f16 : peak.f32), gbps: 1000 * peak.bandwidth };
}
