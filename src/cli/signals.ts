import type { Run } from '../library/train.js';

/** The first signal ends the run after the current step; a second one ends the process at once. */
export function stopOnSignals(run: Run): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    let seen = false;
    process.on(signal, () => {
      if (seen) dieOf(signal);
      seen = true;
      process.stderr.write(`\n${signal}: finishing the step and saving; once more to stop at once\n`);
      run.stop();
    });
  }
}

/** The system ends the process: an exit of its own would wait for threads, and Dawn aborts in one that waits for a GPU. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** The first signal ends the work, the second one the process. */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}
