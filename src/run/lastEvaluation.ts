import { evaluates } from '../prepare/evaluates.js';
import type { Preparation } from '../prepare/prepare.js';

/** Whether a run that goes on is, by another length, over where it is, at a step that was not evaluated as a last one is. */
export function lacksLastEvaluation({ options, resume, schedule }: Preparation): boolean {
  if (resume?.state.steps === undefined || !evaluates(options)) return false;
  const { step, steps, run } = resume.state;
  // As often as the run that made the checkpoint evaluated.
  const evalEvery = Number(run?.options.evalEvery ?? options.evalEvery);
  return step === schedule.steps && step !== steps && step % evalEvery !== 0;
}
