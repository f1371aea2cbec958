import { clock } from './progress.js';
import { throttledLine } from './throttledLine.js';

/** How far a study is. */
interface Progress {
  readonly done: number;
  readonly known: number;
  readonly tokens: number;
  readonly running: readonly Cell[];
  readonly secondsLeft?: number;
}

interface Cell {
  readonly axes: Readonly<Record<string, string | number>>;
  readonly step: number;
  readonly steps: number;
}

/** Of cells that run at one time. */
const MOST_SHOWN = 4;

/** Cells, tokens, the cell that runs and how far it is, time to go. */
export function studyLine({ done, known, tokens, running, secondsLeft }: Progress): string {
  // After the last cell none is next.
  const next = Math.min(done + 1, known);
  const number = running.length > 1 ? `cells ${next}-${done + running.length}` : `cell ${next}`;
  return [
    `${number}/${known}`,
    `${tokens.toLocaleString('en')} tokens`,
    ...runningText(running),
    ...(secondsLeft === undefined ? [] : [`eta ${clock(secondsLeft)}`]),
  ].join('  ');
}

/** Where the cell is and how far; of several how far they are, as many as fit a line. */
function runningText(running: readonly Cell[]): string[] {
  const steps = running.map(({ step, steps }) => `${step}/${steps}`);
  if (running.length > 1) {
    const more = running.length > MOST_SHOWN ? ` and ${running.length - MOST_SHOWN} more` : '';
    return [`steps ${steps.slice(0, MOST_SHOWN).join(', ')}${more}`];
  }
  return running.flatMap(({ axes }) => {
    const place = Object.entries(axes).map(([name, value]) => `${name} ${value}`);
    return [place.join(' '), `step ${steps[0]}`];
  });
}

/** Shows on stderr how far a study is. */
export function showStudy(): { readonly update: (progress: Progress) => void; readonly clear: () => void } {
  const { update, clear } = throttledLine();
  return { update: (progress) => update(() => studyLine(progress)), clear };
}
