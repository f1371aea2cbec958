import { DivergedError } from '../base/errors.js';
import { NO_LABEL } from '../data/packing.js';
import type { RunStats } from '../devices/device.js';
import type { MicroBatch } from '../messages.js';
import type { LossPercentiles, StepRecord } from '../records.js';
import { summarizeLosses } from '../wasm/losses.js';
import { type MicroBatchFacts, noiseScale, totalsOf } from './batchTotals.js';
import type { LossScale } from './lossScale.js';
import type { Losses } from './step.js';

interface StepFacts {
  readonly step: number;
  /** Tokens read by the run so far, this batch included. */
  readonly tokens: number;
  readonly alpha: number;
  readonly lr: number;
  /** Of all who share the batch, in order of their micro-batches. */
  readonly shares: readonly BatchShare[];
  /** Squared norms of the batch's gradient sums times the loss scale, tensor by tensor. */
  readonly squares: Float32Array;
  readonly lossScale: LossScale | undefined;
}

/** What is known of a part of a batch, once its losses are. */
export interface BatchShare {
  readonly facts: readonly MicroBatchFacts[];
  /** Cross-entropy of each label, in nats. */
  readonly losses: readonly Float32Array[];
  readonly teacherTokens: number;
}

/** Documents that an error lists. */
const NAMED_DOCUMENTS = 8;

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const x of numbers) total += x;
  return total;
};

/** Times a step, collects the facts of its micro-batches, and makes its record, with the one division of the losses. */
export class StepMeter {
  #elapsedBefore: number;
  #started = performance.now();
  #stepStarted = performance.now();
  #waitingSince = performance.now();
  #counts: number[] = [];
  #facts: MicroBatchFacts[] = [];
  #losses: Float32Array[] = [];
  #ms = { data: 0, student: 0, device: 0, loader: 0, teacher: 0, forTeacher: 0 };
  /** Present where a batch is shared. */
  #metMs: number | undefined;
  #teacherTokens = 0;
  #skipped: { total: number; found: string[] } = { total: 0, found: [] };

  /** @param elapsedBefore seconds of the run before this process. */
  constructor(elapsedBefore: number) {
    this.#elapsedBefore = elapsedBefore;
  }

  /** Labels of each micro-batch so far, known when it comes. */
  get counts(): readonly number[] {
    return this.#counts;
  }

  /** Of the micro-batches so far, whose losses are known. */
  get share(): BatchShare {
    return { facts: this.#facts, losses: this.#losses, teacherTokens: this.#teacherTokens };
  }

  received({ spent, labels, skipped, signal }: MicroBatch): void {
    this.#skipped = { total: skipped.total, found: [...this.#skipped.found, ...skipped.listed] };
    this.#counts.push(labels.reduce((count, label) => count + (label === NO_LABEL ? 0 : 1), 0));
    const waited = performance.now() - this.#waitingSince;
    // With a teacher, only what it waited for the loader in the meantime is due to the data.
    const forData = signal.kind !== 'none' ? Math.min(waited, spent.teacherDataMs) : waited;
    this.#ms.data += forData;
    this.#ms.forTeacher += waited - forData;
    this.#ms.loader += spent.loaderMs;
    this.#ms.teacher += spent.teacherMs;
    this.#teacherTokens += spent.teacherTokens;
  }

  ran({ totalMs, waitMs }: RunStats): void {
    this.#ms.student += totalMs - waitMs;
    this.#ms.device += waitMs;
  }

  /** @throws DivergedError naming the documents when a loss is not a finite number. */
  learned(batch: MicroBatch, { ce, kl, squares }: Losses, lossScale: LossScale | undefined): void {
    const { count, ceSum, klSum, nonFinite } = summarizeLosses(ce, kl, batch.labels);
    const square = sum(squares) / (lossScale?.value ?? 1) ** 2;
    // With loss scaling, a gradient may overflow: its batch is skipped.
    const bounded = lossScale ? ceSum + klSum : ceSum + klSum + square;
    if (nonFinite > 0 || !Number.isFinite(bounded)) {
      const more = batch.documents.length - NAMED_DOCUMENTS;
      const documents =
        batch.documents.slice(0, NAMED_DOCUMENTS).join(', ') + (more > 0 ? ` and ${more} more` : '');
      throw new DivergedError(
        `expected finite losses, found ${nonFinite} that are not (sum of CE ${ceSum}, of KL ` +
          `${klSum}, squared gradient norm ${square}) in documents ${documents}; lower --lr or look at the text`,
      );
    }
    const { index, labels } = batch;
    const tokens = sum(batch.filled);
    this.#facts.push({ index, count, ceSum, klSum, square, tokens, slots: labels.length });
    this.#losses.push(ce.filter((_, i) => labels[i] !== NO_LABEL));
  }

  /** So long for the other ranks' gradients, after its own. */
  met(ms: number): void {
    this.#metMs = ms;
  }

  /** From now on, the student has nothing to do. */
  waits(): void {
    this.#waitingSince = performance.now();
  }

  /** The record of the step; the sums start again from zero. */
  finish({ step, tokens, alpha, lr, shares, squares, lossScale }: StepFacts): StepRecord {
    const now = performance.now();
    const facts = shares.flatMap((share) => share.facts);
    const batch = totalsOf(facts);
    const divisor = Math.max(1, batch.count);
    const [ce, kl] = [batch.ceSum / divisor, batch.klSum / divisor];
    const square = sum(squares) / (divisor * (lossScale?.value ?? 1)) ** 2;
    const total = now - this.#stepStarted;
    const fraction = (ms: number) => round(ms / total, 4);
    const ms = this.#ms;
    const record: StepRecord = {
      type: 'step',
      step,
      tokens,
      padding: round(1 - batch.tokens / batch.slots, 4),
      loss: alpha * kl + (1 - alpha) * ce,
      ce,
      kl,
      ce_percentiles: percentilesOf(shares.flatMap(({ losses }) => losses)),
      grad_norm: Number.isFinite(square) ? Math.sqrt(square) : null,
      lr,
      ...(lossScale && { loss_scale: lossScale.value, skipped_steps: lossScale.skipped }),
      ...(this.#skipped.found.length > 0 && { skipped_documents: this.#skipped }),
      noise_scale: noiseScale(facts, square),
      teacher_tokens: sum(shares.map(({ teacherTokens }) => teacherTokens)),
      tokens_per_s: round((batch.tokens / total) * 1000, 1),
      elapsed_s: round(this.#elapsedBefore + (now - this.#started) / 1000, 3),
      busy: { loader: fraction(ms.loader), teacher: fraction(ms.teacher), student: fraction(ms.student) },
      wait: {
        data: fraction(ms.data),
        teacher: fraction(ms.forTeacher),
        device: fraction(ms.device),
        ...(this.#metMs !== undefined && { ranks: fraction(this.#metMs) }),
      },
      memory_bytes: process.memoryUsage.rss(),
    };
    this.#ms = { data: 0, student: 0, device: 0, loader: 0, teacher: 0, forTeacher: 0 };
    this.#teacherTokens = 0;
    this.#skipped = { total: this.#skipped.total, found: [] };
    this.#counts = [];
    this.#facts = [];
    this.#losses = [];
    return record;
  }

  /** The next step begins now: what lay between the steps (snapshots, checkpoints) counts for none. */
  resume(): void {
    this.#stepStarted = performance.now();
    this.#waitingSince = this.#stepStarted;
  }
}

function percentilesOf(losses: readonly Float32Array[]): LossPercentiles {
  const size = sum(losses.map(({ length }) => length));
  const ce = new Float32Array(size);
  let at = 0;
  for (const part of losses) {
    ce.set(part, at);
    at += part.length;
  }
  return summarizeLosses(ce, new Float32Array(size), new Int32Array(size)).cePercentiles;
}

const round = (x: number, digits: number): number => Number(x.toFixed(digits));
