/**
 * The user gave something that cannot work: a path, an option, a file's content. The message is one line:
 * what was expected, what was found, what to do. Programs print it and exit with code 2; nothing was written.
 */
export class InputError extends Error {
  override readonly name = 'InputError';

  constructor(message: string) {
    super(oneLine(message));
  }
}

/** The run failed after it had started (a dead worker, a full disk, a NaN loss). Programs exit with code 1. */
export class RunError extends Error {
  override readonly name: string = 'RunError';

  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** A run whose losses, gradients or weights are no finite numbers any more: its learning rate was too high. */
export class DivergedError extends RunError {
  override readonly name: string = 'DivergedError';
}

/** Whether a full disk, or one's share of it, is why something failed; messages cross threads, codes do not. */
export const isDiskFull = ({ message }: Error): boolean => /\b(ENOSPC|EDQUOT)\b/.test(message);

/** The device has failed, and everything on it is lost; the run can go on from its last checkpoint on a new one. */
export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError';

  constructor(message: string) {
    super(oneLine(message));
  }
}

/** What a terminal obeys instead of showing it: control characters, and those that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Every run of such characters is one space: names and values from files may hold any. */
export const oneLine = (text: string): string =>
  text.replace(new RegExp(`(?:${UNPRINTABLE.source})+`, 'gu'), ' ');

/** JSON on one line, in which such characters are escaped. */
export const jsonLine = (value: unknown): string =>
  JSON.stringify(value).replace(
    UNPRINTABLE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const EXCERPT_LENGTH = 60;

/** A value that was found, as JSON that fits into a message. */
export function excerpt(value: unknown): string {
  const text = shown(value);
  return text.length > EXCERPT_LENGTH ? `${text.slice(0, EXCERPT_LENGTH)}...` : text;
}

/** Numbers as a program has them: JSON knows neither NaN nor whole numbers without bounds. */
function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'number' ? String(value) : jsonOf(value);
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'nothing';
  } catch {
    // It is nested beyond the stack, or an alias of YAML holds itself.
    return `a deeply nested ${Array.isArray(value) ? 'list' : 'object'}`;
  }
}
