import { RunError } from '../base/errors.js';
import { NO_LABEL } from '../data/packing.js';
import type { RunStats } from '../devices/device.js';
import type { MicroBatch } from '../messages.js';
import type { StepRecord } from '../records.js';
import { type LossPercentiles, summarizeLosses } from '../wasm/losses.js';
import type { LossScale } from './lossScale.js';

interface StepFacts {
  readonly step: number;
  /** Tokens read by the run so far. */
  readonly tokens: number;
  readonly alpha: number;
  readonly lr: number;
  /** Squared norms of the batch's gradient sums times the loss scale, tensor by tensor. */
  readonly squares: Float32Array;
  readonly lossScale: LossScale | undefined;
}

interface MicroBatchFacts {
  readonly count: number;
  /** Squared norm of the gradient of the micro-batch's summed loss. */
  readonly square: number;
}

/** Per token, and per tensor the squared norm of the micro-batch's gradient. */
export interface Losses {
  readonly ce: Float32Array;
  readonly kl: Float32Array;
  readonly squares: Float32Array;
}

/** Documents that an error lists. */
const NAMED_DOCUMENTS = 8;

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const x of numbers) total += x;
  return total;
};

/** Adds up what a step is made of, and makes its record. Sums and counts; the one division is here. */
export class StepMeter {
  #elapsedBefore: number;
  #started = performance.now();
  #stepStarted = performance.now();
  #waitingSince = performance.now();
  #sums = { ce: 0, kl: 0, count: 0, tokens: 0, slots: 0 };
  #micro: MicroBatchFacts[] = [];
  #ce: Float32Array[] = [];
  #labels: Int32Array[] = [];
  #ms = { data: 0, student: 0, device: 0, loader: 0, teacher: 0, forTeacher: 0 };
  #skipped: { total: number; found: string[] } = { total: 0, found: [] };

  /** @param elapsedBefore seconds of the run before this process. */
  constructor(elapsedBefore: number) {
    this.#elapsedBefore = elapsedBefore;
  }

  /** Valid labels of the batch so far. */
  get count(): number {
    return this.#sums.count;
  }

  /** Tokens of the batch so far, without padding. */
  get tokens(): number {
    return this.#sums.tokens;
  }

  received({ spent, labels, filled, skipped, signal: hasTeacher }: MicroBatch): void {
    this.#skipped = { total: skipped.total, found: [...this.#skipped.found, ...skipped.listed] };
    for (const label of labels) if (label !== NO_LABEL) this.#sums.count++;
    this.#sums.tokens += filled;
    this.#sums.slots += labels.length;
    const waited = performance.now() - this.#waitingSince;
    // With a teacher, only what it waited for the loader in the meantime is due to the data.
    const forData = hasTeacher ? Math.min(waited, spent.teacherDataMs) : waited;
    this.#ms.data += forData;
    this.#ms.forTeacher += waited - forData;
    this.#ms.loader += spent.loaderMs;
    this.#ms.teacher += spent.teacherMs;
  }

  ran({ totalMs, waitMs }: RunStats): void {
    this.#ms.student += totalMs - waitMs;
    this.#ms.device += waitMs;
  }

  /** @throws RunError naming the documents when a loss is not a finite number. */
  learned(batch: MicroBatch, { ce, kl, squares }: Losses, lossScale: LossScale | undefined): void {
    const { count, ceSum, klSum, nonFinite } = summarizeLosses(ce, kl, batch.labels);
    const square = sum(squares) / (lossScale?.value ?? 1) ** 2;
    // With loss scaling, a gradient may overflow: its batch is skipped.
    const bounded = lossScale ? ceSum + klSum : ceSum + klSum + square;
    if (nonFinite > 0 || !Number.isFinite(bounded)) {
      const more = batch.documents.length - NAMED_DOCUMENTS;
      const documents =
        batch.documents.slice(0, NAMED_DOCUMENTS).join(', ') + (more > 0 ? ` and ${more} more` : '');
      throw new RunError(
        `expected finite losses, found ${nonFinite} that are not (sum of CE ${ceSum}, of KL ` +
          `${klSum}, squared gradient norm ${square}) in documents ${documents}; lower --lr or look at the text`,
      );
    }
    this.#sums.ce += ceSum;
    this.#sums.kl += klSum;
    this.#micro.push({ count, square });
    this.#ce.push(ce);
    this.#labels.push(batch.labels);
  }

  /** From now on, the student has nothing to do. */
  waits(): void {
    this.#waitingSince = performance.now();
  }

  /** The record of the step; the sums start again from zero. */
  finish({ step, tokens, alpha, lr, squares, lossScale }: StepFacts): StepRecord {
    const now = performance.now();
    const { count, slots } = this.#sums;
    const divisor = Math.max(1, count);
    const [ce, kl] = [this.#sums.ce / divisor, this.#sums.kl / divisor];
    const square = sum(squares) / (divisor * (lossScale?.value ?? 1)) ** 2;
    const total = now - this.#stepStarted;
    const fraction = (ms: number) => round(ms / total, 4);
    const ms = this.#ms;
    const record: StepRecord = {
      type: 'step',
      step,
      tokens,
      padding: round(1 - this.#sums.tokens / slots, 4),
      loss: alpha * kl + (1 - alpha) * ce,
      ce,
      kl,
      ce_percentiles: this.#percentiles(),
      grad_norm: Number.isFinite(square) ? Math.sqrt(square) : null,
      lr,
      ...(lossScale && { loss_scale: lossScale.value, skipped_steps: lossScale.skipped }),
      ...(this.#skipped.found.length > 0 && { skipped_documents: this.#skipped }),
      noise_scale: noiseScale(this.#micro, square, this.#micro.length),
      tokens_per_s: round((this.#sums.tokens / total) * 1000, 1),
      elapsed_s: round(this.#elapsedBefore + (now - this.#started) / 1000, 3),
      busy: { loader: fraction(ms.loader), teacher: fraction(ms.teacher), student: fraction(ms.student) },
      wait: { data: fraction(ms.data), teacher: fraction(ms.forTeacher), device: fraction(ms.device) },
      memory_bytes: process.memoryUsage.rss(),
    };
    this.#sums = { ce: 0, kl: 0, count: 0, tokens: 0, slots: 0 };
    this.#ms = { data: 0, student: 0, device: 0, loader: 0, teacher: 0, forTeacher: 0 };
    this.#skipped = { total: this.#skipped.total, found: [] };
    this.#micro = [];
    this.#ce = [];
    this.#labels = [];
    return record;
  }

  /** The next step begins now: what lay between the steps (snapshots, checkpoints) counts for none. */
  resume(): void {
    this.#stepStarted = performance.now();
    this.#waitingSince = this.#stepStarted;
  }

  #percentiles(): LossPercentiles {
    const size = sum(this.#ce.map((part) => part.length));
    const ce = new Float32Array(size);
    const labels = new Int32Array(size);
    let at = 0;
    this.#ce.forEach((part, i) => {
      ce.set(part, at);
      labels.set(this.#labels[i]!, at);
      at += part.length;
    });
    return summarizeLosses(ce, new Float32Array(size), labels).cePercentiles;
  }
}

const round = (x: number, digits: number): number => Number(x.toFixed(digits));

/**
 * The simple noise scale tr(Sigma) / |G|^2 in units of labels, from the mean squared norm of the micro-batches'
 * gradients and that of the batch's (N labels), n the harmonic mean of the micro-batches' labels: |G|^2 = (N B - n S) / (N - n) and
 * tr(Sigma) = (S - B) / (1/n - 1/N), with S and B those squares of mean gradients (McCandlish et al. 2018, A.1).
 */
function noiseScale(micro: readonly MicroBatchFacts[], big: number, parts: number): number | null {
  const total = sum(micro.map(({ count }) => count));
  if (parts < 2 || micro.some(({ count, square }) => count === 0 || !Number.isFinite(square))) return null;
  if (!Number.isFinite(big)) return null;
  const n = parts / sum(micro.map(({ count }) => 1 / count));
  const small = sum(micro.map(({ count, square }) => square / count ** 2)) / parts;
  const signal = (total * big - n * small) / (total - n);
  const noise = (small - big) / (1 / n - 1 / total);
  return signal > 0 ? noise / signal : null;
}
