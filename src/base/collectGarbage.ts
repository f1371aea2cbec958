import v8 from 'node:v8';
import vm from 'node:vm';

let collect: (() => void) | undefined;
let isDue = false;

/**
 * Has this thread free what it has let go of, once it is through with what it is at. V8 collects by what is allocated on a
 * thread's own heap, of which a shared memory of any size is a few bytes: a thread that does little else would keep the
 * memories of all sessions that were closed.
 */
export function collectGarbageSoon(): void {
  if (isDue) return;
  isDue = true;
  setImmediate(() => {
    isDue = false;
    collect ??= collector();
    collect();
  }).unref();
}

function collector(): () => void {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
}
