import v8 from 'node:v8';
import vm from 'node:vm';

/** What a thread lets go of before it collects. */
const MOST_BYTES = 64 * 2 ** 20;
/** What a shared memory counts at least: addresses run out, too. */
const LEAST_BYTES = 8 * 2 ** 20;

let collect: (() => void) | undefined;
let bytes = 0;

/**
 * Tells that this thread has let go of a shared memory of so many bytes. Now and then it then frees what nothing refers to, once
 * it is through with what it is at. V8 collects by what is allocated on a thread's own heap, of which a shared memory of
 * any size is a few bytes: a thread that does little else would keep the memories of all sessions that were closed.
 */
export function collectGarbageAfter(memoryBytes: number): void {
  bytes += Math.max(LEAST_BYTES, memoryBytes);
  if (bytes < MOST_BYTES) return;
  bytes = 0;
  setImmediate(() => {
    collect ??= collector();
    collect();
  }).unref();
}

function collector(): () => void {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
}
