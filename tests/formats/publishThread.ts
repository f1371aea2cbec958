import { parentPort, workerData } from 'node:worker_threads';
import { publishFolder } from '#src/formats/checkpointFiles.js';

/** A thread that begins to write a folder, and tells where. */
publishFolder(workerData, (folder) => {
  parentPort!.postMessage(folder);
  return new Promise(() => {});
}).catch((error: Error) => parentPort!.postMessage(error.message));
