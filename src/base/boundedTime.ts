import { createContext, Script } from 'node:vm';

/** Running code in a context of its own is the one way to end a regular expression before it ends. */
const context = createContext({ work: undefined as undefined | (() => void) });
const script = new Script('work()');

/** A machine that was asleep, or very busy, is no reason to give up. */
const ATTEMPTS = 2;

/** Work was not done in time. */
export class TimeOut extends Error {
  override readonly name = 'TimeOut';
}

/**
 * Does work that may take for ever, such as matching a stranger's regular expression, in bounded time.
 * @param work is pure: it may be ended anywhere and done once more
 * @param ms that it may take
 * @throws TimeOut
 */
export function withinTime<T>(ms: number, work: () => T): T {
  let result: T | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    context.work = () => {
      result = work();
    };
    try {
      script.runInContext(context, { timeout: Math.ceil(ms) });
      return result as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    } finally {
      context.work = undefined;
    }
  }
  throw new TimeOut(`more than ${ms} ms`);
}
