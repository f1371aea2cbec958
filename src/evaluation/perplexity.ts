import { DivergedError, InputError } from '../base/errors.js';
import { throwIfStopped } from '../base/stopping.js';
import { NO_LABEL, type Row } from '../data/packing.js';
import type { Session } from '../devices/device.js';
import type { EvaluationModule, EvaluationValues } from '../model/programs.js';
import { summarizeLosses } from '../wasm/losses.js';
import type { MeanLoss, ScoringHooks } from './scoring.js';

/** What a stopped call was for. */
export const SCORING = 'score the whole text';

/** Sums over the labels of rows that were scored together: of their losses in nats, and how many there are. */
export interface LossSum {
  readonly ceSum: number;
  readonly count: number;
}

/**
 * Scores rows, `rowsPerRun` at a time; the last replay is filled up with rows without labels.
 * @param run replays the program that computes `values.ce`
 * @throws InputError when there is nothing to predict; RunError when the signal says stop
 */
export async function meanLoss(
  session: Session,
  values: EvaluationValues,
  rows: Iterable<Row> | AsyncIterable<Row>,
  rowsPerRun: number,
  run: () => Promise<unknown>,
  { signal, onScored }: ScoringHooks = {},
): Promise<MeanLoss> {
  const sums: LossSum[] = [];
  let tokens = 0;
  for await (const sum of lossSums(session, values, rows, rowsPerRun, run, signal)) {
    sums.push(sum);
    tokens += sum.count;
    onScored?.(tokens);
  }
  return meanOf(sums);
}

/** The sums of each replay, in order. Parameters as of `meanLoss`. */
export async function* lossSums(
  session: Session,
  values: EvaluationValues,
  rows: Iterable<Row> | AsyncIterable<Row>,
  rowsPerRun: number,
  run: () => Promise<unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator<LossSum> {
  for await (const { labels } of replays(session, values, rows, rowsPerRun, run, signal)) {
    const ce = (await session.read(values.ce)) as Float32Array;
    const { ceSum, count } = summarizeLosses(ce, new Float32Array(ce.length), labels);
    yield { ceSum, count };
  }
}

/** The mean over all labels, added up in order. @throws InputError when there is nothing to predict */
export function meanOf(sums: readonly LossSum[]): MeanLoss {
  let [sum, tokens] = [0, 0];
  for (const { ceSum, count } of sums) {
    sum += ceSum;
    tokens += count;
  }
  if (tokens === 0)
    throw new InputError('expected text with a token to predict, found none; give longer text');
  const nll = sum / tokens;
  if (!Number.isFinite(nll)) throw new DivergedError(`expected a finite held-out loss, found ${nll}`);
  return { nll, tokens };
}

/**
 * Replays the program on `rowsPerRun` rows at a time and says which: their values are in the session until the next ones
 * are asked for. The last replay is filled up with rows without labels.
 * @throws RunError when the signal says stop
 */
export async function* replays(
  session: Session,
  values: EvaluationValues,
  rows: Iterable<Row> | AsyncIterable<Row>,
  rowsPerRun: number,
  run: () => Promise<unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly rows: readonly Row[]; readonly labels: Int32Array }> {
  const sequence = values.tokens.shape[0]! / rowsPerRun;
  for await (const together of groupsOf(rows, rowsPerRun)) {
    throwIfStopped(signal, SCORING);
    const labels = await writeRows(session, values, together, sequence);
    await run();
    yield { rows: together, labels };
  }
}

async function* groupsOf(rows: Iterable<Row> | AsyncIterable<Row>, size: number): AsyncGenerator<Row[]> {
  let group: Row[] = [];
  for await (const row of rows) {
    group.push(row);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Writes rows of at most `sequence` tokens, and fills up what is left with slots without labels. @returns the labels */
async function writeRows(
  session: Session,
  values: EvaluationValues,
  rows: readonly Row[],
  sequence: number,
): Promise<Int32Array> {
  const size = values.tokens.shape[0]!;
  const tokens = new Uint32Array(size);
  const positions = new Uint32Array(size);
  const labels = new Int32Array(size).fill(NO_LABEL);
  for (const [i, row] of rows.entries()) {
    tokens.set(row.tokens, i * sequence);
    positions.set(row.positions, i * sequence);
    labels.set(row.labels, i * sequence);
  }
  await session.write(values.tokens, tokens);
  await session.write(values.positions, positions);
  await session.write(values.labels, labels);
  return labels;
}

/** The logits of a row that fits into one replay, [tokens, V], 64 tokens at a time. */
export async function rowLogits(
  session: Session,
  { evaluate, logits: { hidden, logits } }: EvaluationModule,
  row: Row,
): Promise<Float32Array> {
  const tokens = row.tokens.length;
  await writeRows(session, evaluate, [row], tokens);
  await session.run('evaluate');
  const states = (await session.read(evaluate.hidden)) as Float32Array;
  const [chunk, d] = hidden.shape as [number, number];
  const vocabulary = logits.shape[1]!;
  const result = new Float32Array(tokens * vocabulary);
  for (let first = 0; first < tokens; first += chunk) {
    const count = Math.min(chunk, tokens - first);
    await session.write(hidden, states.subarray(first * d, (first + count) * d));
    await session.run('logits');
    const part = (await session.read(logits)) as Float32Array;
    result.set(part.subarray(0, count * vocabulary), first * vocabulary);
  }
  return result;
}
