import { config, Observable, type Subject } from 'rxjs';

/** Failures of runs, which are never unhandled errors of RxJS. */
const told = new WeakSet<object>();
/** Subscribers that had no error callback when a run failed. */
const unheard = new WeakMap<object, number>();
let isWatching = false;

/** RxJS throws what a subscriber without an error callback is told in a turn of its own, which ends the process. */
function watch(): void {
  if (isWatching) return;
  isWatching = true;
  const before = config.onUnhandledError;
  config.onUnhandledError = (error) => {
    if (typeof error === 'object' && error !== null && told.has(error)) {
      unheard.set(error, (unheard.get(error) ?? 0) + 1);
    } else if (before) before(error);
    else throw error;
  };
}

/**
 * What a run has made of itself, for its two kinds of listeners. A failure is an unhandled rejection of `finished`, as of
 * any promise, unless somebody handles it there or has an error callback at `metrics$`.
 * @param closed settles when all of the run is over
 */
export function outcomeOf<R, M>(
  closed: Promise<R>,
  subject: Subject<M>,
): { readonly finished: Promise<R>; readonly metrics$: Observable<M> } {
  watch();
  let listeners = 0;
  const metrics$ = new Observable<M>((subscriber) => {
    listeners++;
    subscriber.add(() => {
      listeners--;
    });
    return subject.subscribe(subscriber);
  });
  const finished = closed.then(
    (result) => {
      subject.complete();
      return result;
    },
    async (reason) => {
      const error = reason as Error;
      told.add(error);
      const before = listeners;
      subject.error(error);
      // RxJS tells of those without an error callback in timers that were set just now.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (before > (unheard.get(error) ?? 0)) finished.catch(() => {});
      throw error;
    },
  );
  return { finished, metrics$ };
}
