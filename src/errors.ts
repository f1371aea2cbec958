/**
 * The user gave something that cannot work: a path, an option, a file's content. The message is one line:
 * what was expected, what was found, what to do. Programs print it and exit with code 2; nothing was written.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** The run failed after it had started (a dead worker, a full disk, a NaN loss). Programs exit with code 1. */
export class RunError extends Error {
  override readonly name = 'RunError';
}
