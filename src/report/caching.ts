import { isTerminal, throttledLine } from './throttledLine.js';

/** How far filling a cache is. */
interface Progress {
  readonly tokens: number;
  readonly teacherTokens: number;
  readonly seconds: number;
}

/** Tokens so far, those that the teacher read, and how fast they come. */
export function cachingLine({ tokens, teacherTokens, seconds }: Progress): string {
  const shown = (count: number) => Math.round(count).toLocaleString('en');
  const speed = seconds === 0 ? 0 : tokens / seconds;
  return `${shown(tokens)} tokens  ${shown(teacherTokens)} read by the teacher  ${shown(speed)} tok/s`;
}

/** Shows on stderr how far filling is; what is over soon, on a terminal alone. */
export function showCaching(): {
  readonly update: (progress: Progress) => void;
  readonly done: () => void;
} {
  const { update, done } = throttledLine(isTerminal() ? undefined : performance.now());
  return { update: (progress) => update(() => cachingLine(progress)), done };
}
