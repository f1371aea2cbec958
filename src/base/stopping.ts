import { RunError } from './errors.js';

/** What to say of work that a signal has ended. @param purpose what the work was for: `load the model` */
export function stopped(signal: AbortSignal, purpose: string): RunError {
  return new RunError(`expected to ${purpose}, found a signal to stop`, { cause: signal.reason });
}

/** @throws RunError when the signal says stop */
export function throwIfStopped(signal: AbortSignal | undefined, purpose: string): void {
  if (signal?.aborted) throw stopped(signal, purpose);
}

/** All that one signal stops, with one listener: Node warns of more than ten, and a signal may be that of many calls. */
class Stops {
  readonly all = new Set<() => void>();

  handleEvent(): void {
    for (const stop of this.all) stop();
  }
}

const stopsOf = new WeakMap<AbortSignal, Stops>();

/** Has `stop` called when the signal says stop, which it has not said yet. @returns what takes that back */
export function onStop(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (!signal) return () => {};
  const stops = stopsOf.get(signal) ?? new Stops();
  if (stops.all.size === 0) {
    stopsOf.set(signal, stops);
    signal.addEventListener('abort', stops);
  }
  stops.all.add(stop);
  return () => {
    // A signal that nothing listens to can be forgotten.
    if (stops.all.delete(stop) && stops.all.size === 0) signal.removeEventListener('abort', stops);
  };
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
    const leave = onStop(signal, () => reject(stopped(signal, purpose)));
    work().then(resolve, reject).finally(leave);
  });
}

/** The same, but gives undefined where the signal says stop. */
export async function unlessStopped<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  purpose: string,
): Promise<T | undefined> {
  try {
    return await untilStopped(work, signal, purpose);
  } catch (error) {
    if (!signal.aborted) throw error;
    return undefined;
  }
}
