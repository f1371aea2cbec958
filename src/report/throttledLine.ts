import { logUpdateStderr as log } from 'log-update';

const TERMINAL_MS = 100;
/** Without a terminal: a line this often. */
const PLAIN_MS = 10_000;

export const isTerminal = (): boolean => process.stderr.isTTY === true;

/** How often a line is renewed, in ms. */
export const lineMs = (): number => (isTerminal() ? TERMINAL_MS : PLAIN_MS);

export interface ThrottledLine {
  /** @param isLast show it in any case */
  readonly update: (line: () => string, isLast?: boolean) => void;
  readonly done: () => void;
  /** Takes the line away, so that something else can be written in its place. */
  readonly clear: () => void;
}

/**
 * One line on stderr that is kept up to date on a terminal, plain lines elsewhere.
 * @param since when the last one was, as performance.now() has it; default: never, so that the first is shown
 */
export function throttledLine(since = Number.NEGATIVE_INFINITY): ThrottledLine {
  let [last, isShown] = [since, false];
  return {
    update(line, isLast = false) {
      const now = performance.now();
      if (now - last < lineMs() && !isLast) return;
      last = now;
      isShown = isTerminal();
      if (isShown) log(line());
      else process.stderr.write(`${line()}\n`);
    },
    done: () => log.done(),
    clear: () => {
      if (!isShown) return;
      isShown = false;
      log.clear();
      // The cursor is shown again.
      log.done();
    },
  };
}
