import type { TrainOptions } from '../options/train.js';

/** Whether there is text to measure the loss of. */
export const hasHeldOutText = ({ evalData, evalFraction }: TrainOptions): boolean =>
  evalData !== undefined || evalFraction > 0;

/** Whether a run evaluates at all. */
export const evaluates = (options: TrainOptions): boolean =>
  hasHeldOutText(options) || options.evalTasks !== undefined;
