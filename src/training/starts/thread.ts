import { parentPort } from 'node:worker_threads';
import { findFactors, type Job } from './find.js';

/** A thread that finds factors, one job after the other; see `singularStart`. */
parentPort!.on('message', async (job: Job) => {
  try {
    const found = await findFactors(job);
    parentPort!.postMessage({ found }, [found.a.buffer as ArrayBuffer, found.b.buffer as ArrayBuffer]);
  } catch (error) {
    const { name, message } = error as Error;
    parentPort!.postMessage({ failed: { name, message } });
  }
});
