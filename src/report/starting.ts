import type { ProgressRecord } from '../records.js';
import { isTerminal, throttledLine } from './throttledLine.js';

/** What is done before the first step, and how far it is. */
export function startingLine({ doing, done, total, unit }: ProgressRecord): string {
  const shown = (count: number) => count.toLocaleString('en');
  if (done === undefined) return doing;
  return `${doing}  ${shown(done)}${total === undefined ? '' : ` of ${shown(total)}`} ${unit}`;
}

/** Shows on stderr what a run does before its first step: from the start on a terminal, what takes long elsewhere. */
export function showStarting(): {
  readonly update: (record: ProgressRecord) => void;
  readonly clear: () => void;
} {
  const { update, clear } = throttledLine(isTerminal() ? undefined : performance.now());
  return { update: (record) => update(() => startingLine(record)), clear };
}
