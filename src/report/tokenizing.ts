import { isTerminal, throttledLine } from './throttledLine.js';

/** How far reading a corpus is. */
interface Progress {
  readonly documents: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Documents and tokens so far, and how fast they come. */
export function tokenizingLine({ documents, tokens, seconds }: Progress): string {
  const shown = (count: number) => Math.round(count).toLocaleString('en');
  const speed = seconds === 0 ? 0 : tokens / seconds;
  return `${shown(documents)} documents  ${shown(tokens)} tokens  ${shown(speed)} tok/s`;
}

/** Shows on stderr how far reading is; what is over soon, on a terminal alone. */
export function showTokenizing(): {
  readonly update: (progress: Progress) => void;
  readonly done: () => void;
} {
  const { update, done } = throttledLine(isTerminal() ? undefined : performance.now());
  return { update: (progress) => update(() => tokenizingLine(progress)), done };
}
