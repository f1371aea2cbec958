import type { MessagePort } from 'node:worker_threads';
import type { Compiling } from '../devices/device.js';
import type { ProgressRecord } from '../records.js';

/** How far an actor's start is. */
export type Starting = Omit<ProgressRecord, 'type'>;

/** What an actor says before it is ready. */
export type StartingMessage = Starting | { readonly warning: string };

const TELL_MS = 100;

/** Tells of a start at most ten times a second, of every new thing that is done in it, and when that is done. */
export function teller(port: MessagePort | undefined): (starting: Starting) => void {
  let [told, last] = [Number.NEGATIVE_INFINITY, ''];
  return (starting) => {
    const now = performance.now();
    const isDone = starting.total !== undefined && starting.done === starting.total;
    if (starting.doing === last && now - told < TELL_MS && !isDone) return;
    [told, last] = [now, starting.doing];
    port?.postMessage(starting);
  };
}

/** Of a model's kernels, or of its products on a GPU that has not been timed with them. */
export const compilingOf = (model: 'student' | 'teacher', { doing, done, total }: Compiling): Starting => ({
  doing: `${doing} the ${model}`,
  done,
  total,
  unit: doing === 'tuning' ? 'products' : 'kernels',
});

const MIB = 2 ** 20;

/** Of a model whose weights are loaded, in bytes. */
export const loadingOf = (model: 'student' | 'teacher', bytes: number, total: number): Starting => ({
  doing: `loading the ${model}`,
  done: Math.round(bytes / MIB),
  total: Math.round(total / MIB),
  unit: 'MiB',
});
