import { logUpdateStderr as log } from 'log-update';

const TERMINAL_MS = 100;
/** Without a terminal: a line this often. */
const PLAIN_MS = 10_000;

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

/** Shows on stderr how far reading is: one line that is kept up to date on a terminal, plain lines elsewhere. */
export function showTokenizing(): {
  readonly update: (progress: Progress) => void;
  readonly done: () => void;
} {
  const terminal = process.stderr.isTTY === true;
  let last = terminal ? Number.NEGATIVE_INFINITY : performance.now();
  return {
    update(progress) {
      const now = performance.now();
      if (now - last < (terminal ? TERMINAL_MS : PLAIN_MS)) return;
      last = now;
      if (terminal) log(tokenizingLine(progress));
      else process.stderr.write(`${tokenizingLine(progress)}\n`);
    },
    done: () => log.done(),
  };
}
