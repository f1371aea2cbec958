import { clock } from './progress.js';
import { throttledLine } from './throttledLine.js';

/** How far a study is. */
interface Progress {
  readonly done: number;
  readonly known: number;
  readonly tokens: number;
  readonly axes: Readonly<Record<string, string | number>>;
  readonly step: number;
  readonly steps: number;
  readonly secondsLeft?: number;
}

/** Cells, tokens, the cell that runs and how far it is, time to go. */
export function studyLine({ done, known, tokens, axes, step, steps, secondsLeft }: Progress): string {
  const place = Object.entries(axes).map(([name, value]) => `${name} ${value}`);
  return [
    `cell ${done + 1}/${known}`,
    `${tokens.toLocaleString('en')} tokens`,
    place.join(' '),
    `step ${step}/${steps}`,
    ...(secondsLeft === undefined ? [] : [`eta ${clock(secondsLeft)}`]),
  ].join('  ');
}

/** Shows on stderr how far a study is. */
export function showStudy(): { readonly update: (progress: Progress) => void; readonly clear: () => void } {
  const { update, clear } = throttledLine();
  return { update: (progress) => update(() => studyLine(progress)), clear };
}
