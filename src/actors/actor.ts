import { type MessagePort, parentPort, Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { DeviceLostError, InputError, RunError } from '../base/errors.js';

/** An actor as its owner sees it: calls cross to its thread. */
export interface Actor<T> {
  readonly remote: Comlink.Remote<T>;
  /** Resolves with the cause when the thread has died by itself; Comlink's pending calls never settle then. */
  readonly died: Promise<string>;
  close(): Promise<void>;
}

/** Starts an actor's file in a worker thread. */
export function spawn<T>(name: string, file: URL): Actor<T> {
  const worker = new Worker(file, { name });
  let closing = false;
  const died = new Promise<string>((resolve) => {
    worker.on('error', (error) => resolve(`its thread failed: ${error.message}`));
    worker.on('exit', (code) => {
      if (!closing) resolve(`its thread exited with code ${code}`);
    });
  });
  return {
    remote: Comlink.wrap<T>(nodeEndpoint(worker)),
    died,
    async close() {
      closing = true;
      await worker.terminate();
    },
  };
}

/** The actor's own side: offers `actor` to the thread that spawned it. */
export function serve(actor: object): void {
  Comlink.expose(actor, nodeEndpoint(parentPort!));
}

/** Offers `object` at a port, for another actor. */
export const offer = (object: object, port: MessagePort): void => Comlink.expose(object, nodeEndpoint(port));

/** What another actor offers at a port. */
export const reach = <T>(port: MessagePort): Comlink.Remote<T> => Comlink.wrap<T>(nodeEndpoint(port));

/** Runs `work` and names the actor, and what it was doing, in errors that are not the user's. */
export async function named<R>(actor: string, doing: () => string, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    throw asNamed(error, placed(actor, doing()));
  }
}

/** Where in a run something happened, in errors: `loader, step 3`. */
export const placed = (actor: string, doing: string): string => `${actor}, ${doing}`;

/** Errors that crossed threads are told apart by name: only message, name and stack are kept. */
function asNamed(error: unknown, where: string): Error {
  if (!(error instanceof Error)) return new RunError(`${where}: ${String(error)}`);
  if (error.name === 'InputError') return new InputError(error.message);
  if (error instanceof DeviceLostError) return new DeviceLostError(`${where}: ${error.message}`);
  if (error.name === 'DeviceLostError') return new DeviceLostError(error.message);
  const hasCrossed = !(error instanceof RunError);
  if (error.name === 'RunError' && hasCrossed) return new RunError(error.message);
  return new RunError(`${where}: ${error.message}`, { cause: error });
}
