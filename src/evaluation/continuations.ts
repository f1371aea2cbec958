import { InputError } from '../base/errors.js';
import type { Encoded } from '../data/examples.js';
import { appendPiece, emptyRow, NO_LABEL, type Row } from '../data/packing/rows.js';
import type { Session } from '../devices/device.js';
import type { EvaluationValues } from '../model/programs.js';
import { replays } from './perplexity.js';
import { type ContinuationScore, finiteScore, type ScoringHooks } from './scoring.js';

/**
 * Scores the learned tokens of examples, of each whole, in one forward pass. Short examples share a row, where they do
 * not see each other.
 * @param rowsPerRun rows of `sequence` tokens that are scored at a time
 * @param run replays the program that computes `values`
 * @throws InputError for an example without learned tokens, or one that is too long; RunError when the signal says stop, or
 * a log-likelihood is not finite
 */
export async function scoreContinuations(
  session: Session,
  values: EvaluationValues,
  examples: Iterable<Encoded> | AsyncIterable<Encoded>,
  { rows: rowsPerRun, sequence }: { readonly rows: number; readonly sequence: number },
  run: () => Promise<unknown>,
  { signal, onScored }: ScoringHooks = {},
): Promise<ContinuationScore[]> {
  const scores: ContinuationScore[] = [];
  for await (const { rows } of replays(
    session,
    values,
    packed(examples, sequence),
    rowsPerRun,
    run,
    signal,
  )) {
    const ce = (await session.read(values.ce)) as Float32Array;
    const argMax = (await session.read(values.argMax)) as Int32Array;
    for (const [i, row] of rows.entries()) {
      const [from, to] = [i * sequence, (i + 1) * sequence];
      for (const score of scoresOf(row, ce.subarray(from, to), argMax.subarray(from, to))) scores.push(score);
    }
    onScored?.(scores.reduce((sum, { tokens }) => sum + tokens, 0));
  }
  return scores;
}

/** Examples in order, each behind the one before it where there is room. */
async function* packed(
  examples: Iterable<Encoded> | AsyncIterable<Encoded>,
  sequence: number,
): AsyncGenerator<Row> {
  let row: Row | undefined;
  let index = 0;
  for await (const example of examples) {
    const slots = checkedSlots(example, sequence, ++index);
    if (row && row.filled + slots > sequence) {
      yield row;
      row = undefined;
    }
    row ??= emptyRow(sequence);
    appendPiece(row, { ...example, document: String(index) });
  }
  if (row) yield row;
}

/** Slots that an example takes: its last token is only predicted. */
function checkedSlots({ tokens, learned }: Encoded, sequence: number, index: number): number {
  const slots = tokens.length - 1;
  if (slots > sequence) {
    throw new InputError(
      `example ${index}: expected at most ${sequence + 1} tokens, found ${tokens.length}; raise --sequence`,
    );
  }
  if (slots < 1 || learned?.subarray(1).every((flag) => flag === 0)) {
    throw new InputError(`example ${index}: expected a token to predict after another one, found none`);
  }
  return slots;
}

/** Of each example in a row: one begins where positions do. */
function scoresOf(
  { labels, positions, filled }: Row,
  ce: Float32Array,
  argMax: Int32Array,
): ContinuationScore[] {
  const scores: ContinuationScore[] = [];
  for (let from = 0, to = 1; from < filled; from = to++) {
    while (to < filled && positions[to] !== 0) to++;
    let [sum, tokens, isGreedy] = [0, 0, true];
    for (let i = from; i < to; i++) {
      if (labels[i] === NO_LABEL) continue;
      sum += ce[i]!;
      tokens++;
      isGreedy &&= argMax[i] === labels[i];
    }
    scores.push(finiteScore({ logLikelihood: -sum, tokens, isGreedy }));
  }
  return scores;
}
