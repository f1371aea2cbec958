import { isTerminal, throttledLine } from './throttledLine.js';
import { tokenizingLine } from './tokenizing.js';

/** How far scoring of text is. */
interface TextProgress {
  readonly documents: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** How far a task is. */
interface TaskProgress {
  readonly task: string;
  readonly items: number;
  readonly totalItems: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Items of a task so far, and how fast tokens go through the model. */
export function taskLine({ task, items, totalItems, tokens, seconds }: TaskProgress): string {
  const shown = (count: number) => Math.round(count).toLocaleString('en');
  return `${task}  ${shown(items)} of ${shown(totalItems)} items  ${shown(seconds === 0 ? 0 : tokens / seconds)} tok/s`;
}

/** Shows on stderr how far scoring is; what is over soon, on a terminal alone. */
export function showEvaluating(): {
  readonly text: (progress: TextProgress) => void;
  readonly task: (progress: TaskProgress) => void;
  readonly done: () => void;
} {
  const { update, done } = throttledLine(isTerminal() ? undefined : performance.now());
  return {
    text: (progress) => update(() => tokenizingLine(progress)),
    task: (progress) => update(() => taskLine(progress)),
    done,
  };
}
