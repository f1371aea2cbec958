/** Waits for some milliseconds. */
export type Delay = (ms: number) => Promise<unknown>;

/** An answer other than success. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  /** The Hub's name for what is wrong, such as RepoNotFound or GatedRepo. */
  readonly code: string | undefined;
  /** What the server asks to wait, if it does. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, headers }: Response) {
    super(`HTTP ${status}`);
    this.status = status;
    this.code = headers.get('x-error-code') ?? undefined;
    this.retryAfterMs = parseRetryAfter(headers.get('retry-after'));
  }
}

/** The connection ended before the answer did. */
export class DroppedError extends Error {
  override readonly name = 'DroppedError';
}

/** An answer that no Hub gives: of another form, far too long, or one that leads elsewhere. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 1000;
/** Servers that ask for more patience than this get an error. */
const LONGEST_PAUSE_MS = 300_000;

/** System and undici codes of connections that were there, then broke. */
const BROKEN = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);

/**
 * Repeats `work` while it fails in a way that may pass: too many requests, a server's failure, a broken connection;
 * five times in a row at most, where a failure after `progress` has grown starts a new row.
 */
export async function retrying<T>(work: () => Promise<T>, delay: Delay, progress = () => 0): Promise<T> {
  let reached = progress();
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const now = progress();
      if (now > reached) attempt = 1;
      reached = now;
      const pause = pauseAfter(error, attempt);
      if (pause === undefined) throw error;
      await delay(pause);
    }
  }
}

function pauseAfter(error: unknown, attempt: number): number | undefined {
  if (attempt >= ATTEMPTS || !isTransient(error)) return undefined;
  const asked = error instanceof HttpError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return asked <= LONGEST_PAUSE_MS ? asked : undefined;
  return FIRST_PAUSE_MS * 2 ** (attempt - 1);
}

function isTransient(error: unknown): boolean {
  if (error instanceof HttpError) return error.status === 429 || error.status === 408 || error.status >= 500;
  return error instanceof DroppedError || BROKEN.has(networkCode(error) ?? '');
}

/** The code of a failed request or system call, which fetch hides in the cause. */
export function networkCode(error: unknown): string | undefined {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  return cause instanceof Error ? networkCode(cause) : undefined;
}

/** Seconds, or a date. */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
