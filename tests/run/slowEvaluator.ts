import { syncBuiltinESMExports } from 'node:module';
import threads, { isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';

/** Loaded before a program (`--import`): the evaluator's thread sleeps most of the time, the others do not. */

const SLEEP_MS = 60;

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
} else if (process.env.SLEEP_HERE === 'yes') {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  setInterval(() => Atomics.wait(nothing, 0, 0, SLEEP_MS), 1).unref();
}
