import { constants } from 'node:os';
import { isLaunched } from '../world/launch.js';

/** What asks a program to end; a lost terminal among it. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The first signal ends the run, which saves what is trained; a second one ends the process at once.
 * @returns the signal that came, if one did
 */
export function stopOnSignals(run: { stop(): void }): { readonly signal: NodeJS.Signals | undefined } {
  const came: { signal: NodeJS.Signals | undefined } = { signal: undefined };
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (came.signal) dieOf(signal);
      came.signal = signal;
      // Of several ranks a launcher ends all when one has failed: that one has said why.
      if (!isLaunched())
        process.stderr.write(`\n${signal}: saving what is trained; once more to stop at once\n`);
      run.stop();
    });
  }
  return came;
}

/** The system ends the process: an exit of its own would wait for threads, and Dawn aborts in one that waits for a GPU. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

const LINGER_MS = 300;

/**
 * Sets the exit code that shells give for a signal: 128 and its number. What still goes on, such as a download, does not
 * hold the process back.
 */
export function exitAfter(signal: NodeJS.Signals): void {
  process.exitCode = 128 + constants.signals[signal];
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/**
 * The first signal ends the work, the second one the process. Listeners stay: what shows the cursor again at the end has a
 * process die at once of a signal that nobody else listens to.
 */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => (stop.signal.aborted ? dieOf(signal) : stop.abort()));
  }
  return stop.signal;
}
