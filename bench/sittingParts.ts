import { linearBenches } from './linear.js';
import { sizesOf } from './measure.js';
import { RANK, type ShapeName } from './shapes.js';

/** One command of a sitting. */
export interface Part {
  readonly name: string;
  /** What it is given at least, as long as the sitting lasts; twice that where earlier parts left time. */
  readonly seconds: number;
  /** Absent where it can't run, for the reason given. */
  readonly command?: readonly string[];
  readonly reason?: string;
}

/** The sizes of a sitting. */
export interface Scale {
  readonly shape: ShapeName;
  readonly batch: number;
  readonly sequence: number;
  readonly smollm: { readonly shape: ShapeName; readonly batch: number; readonly sequence: number };
  /** Of the op tests' cases, each N-th is run. */
  readonly every: number;
  readonly peerDevice: 'cuda' | 'cpu';
  /** Times what parts and the whole may take. */
  readonly patience: number;
}

export const SCALES: Readonly<Record<'full' | 'small', Scale>> = {
  full: {
    ...{ shape: 'llama', batch: 8, sequence: 1024, every: 1, peerDevice: 'cuda', patience: 1 },
    smollm: { shape: 'smollm2', batch: 4, sequence: 512 },
  },
  // For a GPU that is a program.
  small: {
    ...{ shape: 'tiny', batch: 2, sequence: 64, every: 12, peerDevice: 'cpu', patience: 4 },
    smollm: { shape: 'tiny', batch: 1, sequence: 64 },
  },
};

/** The products that are measured, as M x K x N, by the labels of their benches. */
export function productsOf({ shape, batch, sequence }: Scale): ReadonlyMap<string, readonly number[]> {
  const benches = linearBenches(sizesOf(shape, { rank: RANK, rows: batch, sequence }));
  return new Map(benches.map(({ label }) => [label, label.match(/\d+/g)!.map(Number)]));
}

const ITERATIONS = '4';

/**
 * All parts, cheapest first, of those that build upon each other in that order. Their seconds add up to less than 9
 * minutes.
 * @param peer path of a PyTorch script that takes --shape, --device, --impl, --loss, --teacher, --batch, --sequence and
 * --rank, and prints one JSON line: the same joint step
 */
export function partsOf(scale: Scale, peer: string | undefined): Part[] {
  const node = (program: string, ...args: string[]) => [process.execPath, `build/${program}.js`, ...args];
  const bench = (only: string, device: string, ...args: string[]) =>
    node('bench/run', '--json', '--only', only, '--device', device, ...args);
  const sizes = (of: Pick<Scale, 'shape' | 'batch' | 'sequence'>) => [
    ...['--shape', of.shape, '--batch', String(of.batch), '--sequence', String(of.sequence)],
  ];
  const onGpu = (only: string, ...args: string[]) => bench(only, 'webgpu', ...sizes(scale), ...args);
  const smollm = (device: string) =>
    bench('step', device, '--teacher', 'none', '--iterations', ITERATIONS, ...sizes(scale.smollm));
  const joint = onGpu('step', '--iterations', ITERATIONS);
  const products = new Set([...productsOf(scale).values()].map((sides) => sides.join('x')));
  const torch = (loss: string, ...args: string[]): Partial<Part> => {
    if (peer === undefined) return { reason: 'no PEER was given' };
    const what = ['--device', scale.peerDevice, '--impl', 'hf', '--loss', loss, '--rank', String(RANK)];
    return { command: ['python3', peer, ...sizes(scale), ...what, ...args] };
  };
  const parts: Part[] = [
    { name: 'adapter', seconds: 15, command: node('bench/adapter') },
    { name: 'ops', seconds: 60, command: node('bench/opCases', '--every', String(scale.every)) },
    { name: 'matmul-torch', seconds: 25, command: ['python3', 'build/bench/matmul_torch.py', ...products] },
    { name: 'matmul', seconds: 50, command: onGpu('linear', '--tune', 'full') },
    { name: 'attention', seconds: 20, command: onGpu('attention') },
    { name: 'smollm2-gpu', seconds: 25, command: smollm('webgpu') },
    { name: 'smollm2-cpu', seconds: 35, command: smollm('wasm') },
    { name: 'tuning', seconds: 65, command: onGpu('tuning', '--tune', 'full') },
    { name: 'cpt-torch', seconds: 25, ...torch('chunked', '--teacher', 'none') },
    { name: 'cpt', seconds: 25, command: onGpu('step', '--iterations', ITERATIONS, '--teacher', 'none') },
    { name: 'joint-torch-chunked', seconds: 35, ...torch('chunked') },
    { name: 'joint', seconds: 55, command: joint },
    { name: 'joint-torch-naive', seconds: 35, ...torch('naive') },
    { name: 'joint-again', seconds: 45, command: joint },
  ];
  return parts.map((part) => ({ ...part, seconds: scale.patience * part.seconds }));
}
