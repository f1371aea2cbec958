import { writeSync } from 'node:fs';
import { type MessagePort, workerData } from 'node:worker_threads';
import { InputError } from '../base/errors.js';
import { enter } from './enter.js';
import { passGate } from './gate.js';
import type { Launch } from './launch.js';
import { findLibrary } from './library.js';
import type { Mpi } from './mpi.js';
import { type Report, Service } from './service.js';
import type { Patience } from './watch.js';

/** The one thread of a process that calls MPI. */

export interface ThreadData {
  readonly launch: Launch;
  readonly patience: Patience;
  /** Rung for every message. */
  readonly bell: Int32Array;
  readonly gate: Int32Array;
  readonly control: MessagePort;
  /** In the order that all ranks have them in. */
  readonly channels: readonly MessagePort[];
}

const data = workerData as ThreadData;
const report = (message: Report) => data.control.postMessage(message);
const STDERR = 2;

try {
  report({ ready: true });
  const { library, entered } = passGate(data.gate, () => {
    const library = findLibrary(data.launch);
    return { library, entered: enter(data.launch, library, data.channels.length + 1) };
  });
  report({ joined: { ...entered.place, library: library.version } });
  serve(new Service(entered, data), entered.mpi);
  report({ left: true });
} catch (error) {
  report({ refused: (error as Error).message, isInput: error instanceof InputError });
}

/** Where ranks can't meet any more, nothing is left but to end them all. */
function serve(service: Service, mpi: Mpi): void {
  try {
    service.run();
  } catch (error) {
    try {
      writeSync(STDERR, `error: ${(error as Error).message}\n`);
    } finally {
      mpi.abort(1);
    }
  }
}
