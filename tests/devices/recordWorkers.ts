import { syncBuiltinESMExports } from 'node:module';
import threads, { Worker } from 'node:worker_threads';

/** Runs `work` and collects the worker threads that it starts. */
export async function recordWorkers<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly workers: readonly Worker[] }> {
  const workers: Worker[] = [];
  class RecordedWorker extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      workers.push(this);
    }
  }
  const { Worker: original } = threads;
  threads.Worker = RecordedWorker;
  syncBuiltinESMExports();
  try {
    return { result: await work(), workers };
  } finally {
    threads.Worker = original;
    syncBuiltinESMExports();
  }
}
