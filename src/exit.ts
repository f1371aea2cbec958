import { CommanderError } from 'commander';

/**
 * Runs a program and sets its exit code: 0 done, 1 failed, 2 bad usage or input. Errors are one line on stderr;
 * RIVULET_DEBUG=1 adds the stack.
 */
export async function runProgram(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  // Commander has printed its own message, or help and version, which are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`error: ${message}\n`);
  if (process.env.RIVULET_DEBUG) process.stderr.write(`${stack}\n`);
  return name === 'InputError' ? 2 : 1;
}
