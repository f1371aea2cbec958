import { runPaths } from '../formats/runFolder.js';
import { parseFork } from '../prepare/origin.js';
import type { StepRecord } from '../records.js';
import { readRecords } from '../report/journal.js';
import type { CellResult } from './store.js';

/** Of the points that are kept of a run's steps. */
const TRAINING_POINTS = 64;

/**
 * What the metrics of a run say of it: length, time, losses on the way; `nll` is the last one held out.
 * @param fork `RUN@STEP` where it begins: its steps and tokens count on from there
 */
export function outcomeOf(out: string, fork?: string): Omit<CellResult, 'status' | 'reason'> {
  const steps: StepRecord[] = [];
  const evaluations: { step: number; nll: number }[] = [];
  for (const record of readRecords(runPaths(out).metrics)) {
    if (record.type === 'step') steps.push(record);
    if (record.type === 'eval') evaluations.push({ step: record.step, nll: record.nll });
  }
  const begun = fork === undefined ? { step: 0, tokens: 0 } : placeOf(fork);
  const tokensAt = new Map([begun, ...steps].map(({ step, tokens }) => [step, tokens]));
  const last = steps.at(-1);
  const { step, tokens } = last ?? begun;
  const nll = evaluations.at(-1)?.nll;
  return {
    steps: step,
    tokens,
    seconds: last?.elapsed_s ?? 0,
    measures: nll === undefined ? {} : { nll },
    curve: evaluations.map(({ step, nll }) => ({ step, tokens: tokensAt.get(step) ?? 0, nll })),
    training: thinned(steps).map(({ step, tokens, loss, grad_norm, noise_scale }) => {
      return { step, tokens, loss, grad_norm, noise_scale };
    }),
    dynamics: [],
  };
}

function placeOf(fork: string): { readonly step: number; readonly tokens: number } {
  const { run, step } = parseFork(fork);
  for (const record of readRecords(runPaths(run).metrics)) {
    if (record.type === 'step' && record.step === step) return { step, tokens: record.tokens };
  }
  return { step, tokens: 0 };
}

/** Evenly spaced ones, the last one among them. */
function thinned(steps: readonly StepRecord[]): StepRecord[] {
  const stride = Math.ceil(steps.length / TRAINING_POINTS);
  return steps.filter((_, i) => (steps.length - 1 - i) % stride === 0);
}
