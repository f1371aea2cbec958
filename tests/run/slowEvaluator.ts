import { syncBuiltinESMExports } from 'node:module';
import threads, { isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Loaded before a program (`--import`): from its first line of a step on the evaluator's thread sleeps most of the time,
 * the others do not. It sleeps longer until the program has said that a step waits for it, so that one does on a
 * machine of any speed.
 */

const SLEEP_MS = 60;
const SLEEP_UNTIL_TOLD_MS = 600;
const sleeps = new BroadcastChannel('sleeps of the evaluator, in ms');
sleeps.unref();

if (isMainThread) {
  class SlowWorker extends Worker {
    constructor(file: URL, options: WorkerOptions) {
      const isSlow = options.name === 'evaluator';
      const preload = ['--import', import.meta.url];
      super(file, {
        ...options,
        ...(isSlow && { execArgv: preload, env: { ...process.env, SLEEP_HERE: 'yes' } }),
      });
    }
  }
  threads.Worker = SlowWorker;
  syncBuiltinESMExports();
  const write = process.stderr.write.bind(process.stderr);
  let isStepping = false;
  process.stderr.write = ((text: string, ...rest: []) => {
    if (/waits for the evaluation/.test(text)) sleeps.postMessage(SLEEP_MS);
    else if (!isStepping && /^step +\d+\//.test(text)) {
      isStepping = true;
      sleeps.postMessage(SLEEP_UNTIL_TOLD_MS);
    }
    return write(text, ...rest);
  }) as typeof write;
} else if (process.env.SLEEP_HERE === 'yes') {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  let sleepMs = 0;
  sleeps.onmessage = ({ data }) => {
    sleepMs = data as number;
  };
  setInterval(() => Atomics.wait(nothing, 0, 0, sleepMs), 1).unref();
}
