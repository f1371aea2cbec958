import { CommanderError } from 'commander';
import { oneLine } from '../base/errors.js';
import { isSpokesman } from '../world/launch.js';
import { ToldElsewhere } from '../world/together.js';

/**
 * Runs a program and sets its exit code: 0 done, 1 failed, 2 bad usage or input. Errors are one line on stderr;
 * RIVULET_DEBUG=1 adds the stack.
 */
export async function runProgram(main: () => Promise<void>): Promise<void> {
  outliveReaders();
  printWarnings();
  try {
    await main();
  } catch (error) {
    if (!isOfLostOutput(error)) process.exitCode = report(error);
  }
}

/** Warnings in the form of errors: one line, without Node's own number and advice. `--no-warnings` stays silent. */
function printWarnings(): void {
  if (process.listenerCount('warning') === 0) return;
  process.removeAllListeners('warning');
  const speaks = isSpokesman();
  process.on('warning', ({ message }) => {
    if (speaks) process.stderr.write(`warning: ${message}\n`);
  });
}

/** Nobody reads any more: `--help | head`, a terminal that was closed. */
const GONE = ['EPIPE', 'EIO', 'ENOTCONN', 'ECONNRESET'];

const lost = new AbortController();

/** Says stop once nothing can be written to stdout any more, to work that is for nobody then. */
export const outputLost: AbortSignal = lost.signal;

/** Work goes on when nobody reads what is said of it; a result that can't be written is a failure, which is told once. */
function outliveReaders(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outputLost.aborted) return;
    lost.abort(error);
    if (GONE.includes(error.code!)) return;
    process.exitCode = report(
      new Error(`expected to write to stdout, found ${error.code}; check where it leads`),
    );
  });
}

/** What stopped for a lost output has nothing to add. */
const isOfLostOutput = (error: unknown): boolean =>
  outputLost.aborted && error instanceof Error && error.cause === outputLost.reason;

/** Tells of a failure. @returns the program's exit code */
export function report(error: unknown): number {
  // Help or the version was asked for and has been printed.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  if (error instanceof ToldElsewhere) return codeOf(error.failure.name);
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`error: ${oneLine(message)}\n`);
  if (process.env.RIVULET_DEBUG) process.stderr.write(`${stack}\n`);
  return codeOf(name);
}

/** Commander throws nothing that is not an InputError, but for help and version, which are printed. */
const CODES: Readonly<Record<string, number>> = { InputError: 2, CommanderError: 0 };

const codeOf = (name: string): number => CODES[name] ?? 1;
