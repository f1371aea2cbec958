import type { MessagePort } from 'node:worker_threads';
import type { Starting } from '../model/starting.js';

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
