import type { TrainInput } from 'rivulet';
import * as assert from 'uvu/assert';
import type { Outcome } from './outcome.js';

/** How a change of an option shows. */

export const sameAdapter = (changed: Outcome, plain: Outcome) =>
  assert.ok(changed.adapter.equals(plain.adapter));
export const otherAdapter = (changed: Outcome, plain: Outcome) =>
  assert.not(changed.adapter.equals(plain.adapter));

export interface Case {
  readonly change: Partial<TrainInput>;
  /** What both runs have beyond the base. */
  readonly beside?: Partial<TrainInput>;
  /** How the change shows (default: in the adapter). */
  readonly check?: (changed: Outcome, plain: Outcome) => void;
  /** It shows in that the run is refused. */
  readonly refused?: RegExp;
}
