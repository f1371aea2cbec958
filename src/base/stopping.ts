import { RunError } from './errors.js';

/** What to say of work that a signal has ended. @param purpose what the work was for: `load the model` */
export function stopped(signal: AbortSignal, purpose: string): RunError {
  return new RunError(`expected to ${purpose}, found a signal to stop`, { cause: signal.reason });
}

/** @throws RunError when the signal says stop */
export function throwIfStopped(signal: AbortSignal | undefined, purpose: string): void {
  if (signal?.aborted) throw stopped(signal, purpose);
}

/**
 * What `work` gives. Rejects with a RunError as soon as the signal says stop, whose cause is the signal's reason; what is
 * under way then is not waited for. Work that is stopped before its beginning does not begin.
 */
export function untilStopped<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
  purpose: string,
): Promise<T> {
  if (!signal) return work();
  if (signal.aborted) return Promise.reject(stopped(signal, purpose));
  return new Promise((resolve, reject) => {
    const stop = () => reject(stopped(signal, purpose));
    signal.addEventListener('abort', stop, { once: true });
    const leave = () => signal.removeEventListener('abort', stop);
    work().then(resolve, reject).finally(leave);
  });
}
