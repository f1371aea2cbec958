import { Observable } from 'rxjs';

/** Anything pulled one item at a time; null ends it. */
export interface Source<T> {
  pull(): Promise<T | null>;
}

/**
 * Pulls with credits: at most `credits` items are asked for or waiting at any time, and a credit comes back when
 * `work` on its item is done. Items are worked on in order, one at a time. Unsubscribing stops after the current one.
 */
export function pulled<T, R>(
  source: Source<T>,
  credits: number,
  work: (item: T) => Promise<R>,
): Observable<R> {
  return new Observable((subscriber) => {
    const ask = () => {
      const item = source.pull();
      // Items asked for ahead may fail after the stream has ended, when nobody waits for them any more.
      item.catch(() => {});
      return item;
    };
    const run = async () => {
      const queue = Array.from({ length: credits }, ask);
      while (!subscriber.closed) {
        const item = await queue.shift()!;
        if (item === null) break;
        subscriber.next(await work(item));
        if (!subscriber.closed) queue.push(ask());
      }
      subscriber.complete();
    };
    run().catch((error) => subscriber.error(error));
  });
}
