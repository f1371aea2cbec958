import type { LossPercentiles } from '../records.js';
import { compileWasm } from './module.js';

/** Statistics over tokens, in nats. */
export interface LossSummary {
  /** Tokens with a label. */
  readonly count: number;
  /** Sums over those tokens, in f64 and a fixed order; NaN or infinite when a term is. */
  readonly ceSum: number;
  readonly klSum: number;
  /** Entries of ce and kl, at those tokens, that are NaN or infinite. */
  readonly nonFinite: number;
  readonly cePercentiles: LossPercentiles;
  readonly klPercentiles: LossPercentiles;
}

interface LossesModule {
  readonly memory: WebAssembly.Memory;
  heapBase(): number;
  countLabels(labels: number, size: number): number;
  summarize(losses: number, labels: number, size: number, keys: number, out: number): void;
}

const IGNORED = -100;
const PAGE_BYTES = 65536;
/** f64 numbers that `summarize` writes, and the bytes set aside for them. */
const STATISTICS = 7;
const STATISTICS_BYTES = 64;

let instance: LossesModule | undefined;

/** Reduces per-token losses [T] in nats; tokens whose label is -100 do not count, whatever their losses hold. */
export function summarizeLosses(ce: Float32Array, kl: Float32Array, labels: Int32Array): LossSummary {
  if (ce.length !== labels.length || kl.length !== labels.length) {
    throw new Error(
      `Expected as many losses as labels (${labels.length}), found ${ce.length} CE, ${kl.length} KL`,
    );
  }
  instance ??= new WebAssembly.Instance(compileWasm('losses')).exports as LossesModule;
  const size = Math.ceil(labels.length / 4) * 4;
  const labelsAt = instance.heapBase() + STATISTICS_BYTES;
  grow(instance.memory, labelsAt + 3 * 4 * size);
  const padded = new Int32Array(instance.memory.buffer, labelsAt, size);
  padded.fill(IGNORED, labels.length);
  padded.set(labels);
  const ofCe = statistics(instance, ce, labelsAt, size);
  const ofKl = statistics(instance, kl, labelsAt, size);
  return {
    count: instance.countLabels(labelsAt, size),
    ceSum: ofCe.sum,
    klSum: ofKl.sum,
    nonFinite: ofCe.nonFinite + ofKl.nonFinite,
    cePercentiles: ofCe.percentiles,
    klPercentiles: ofKl.percentiles,
  };
}

/** The statistics of one array, which goes behind the labels, with its keys behind it. */
function statistics(wasm: LossesModule, losses: Float32Array, labelsAt: number, size: number) {
  const lossesAt = labelsAt + 4 * size;
  const out = wasm.heapBase();
  new Float32Array(wasm.memory.buffer, lossesAt, losses.length).set(losses);
  wasm.summarize(lossesAt, labelsAt, size, lossesAt + 4 * size, out);
  const [sum, nonFinite, ...ranked] = new Float64Array(wasm.memory.buffer, out, STATISTICS);
  const [min, p50, p90, p99, max] = ranked;
  return {
    sum: sum!,
    nonFinite: nonFinite!,
    percentiles: { min: min!, p50: p50!, p90: p90!, p99: p99!, max: max! },
  };
}

function grow(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}
