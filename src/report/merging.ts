import { mib } from './downloads.js';
import { isTerminal, throttledLine } from './throttledLine.js';

interface Progress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** How much of a merged model is written. */
export const mergingLine = ({ bytes, totalBytes }: Progress): string =>
  `merging  ${mib(bytes)} of ${mib(totalBytes)}  ${Math.floor((100 * bytes) / totalBytes)} %`;

/** Shows on stderr how far merging is; what is over soon, on a terminal alone. */
export function showMerging(): {
  readonly update: (progress: Progress) => void;
  readonly done: () => void;
} {
  const { update, done } = throttledLine(isTerminal() ? undefined : performance.now());
  return { update: (progress) => update(() => mergingLine(progress)), done };
}
