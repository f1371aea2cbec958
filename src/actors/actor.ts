import { MessageChannel, type MessagePort, parentPort, Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { DeviceLostError, DivergedError, InputError, RunError } from '../base/errors.js';

/** A thread for actors of one kind, one after the other. */
export interface Thread {
  readonly name: string;
  /** A new actor as its owner sees it: calls cross to the thread, which keeps the actor until it is let go. */
  create<T>(): { readonly remote: Comlink.Remote<T>; readonly letGo: () => void };
  /** Resolves with the cause when the thread has died by itself; Comlink's pending calls never settle then. */
  readonly died: Promise<string>;
  close(): Promise<void>;
}

/** Starts an actor's file in a worker thread. */
export function spawn(name: string, file: URL): Thread {
  const worker = new Worker(file, { name });
  let closing = false;
  const died = new Promise<string>((resolve) => {
    worker.on('error', (error) => resolve(`its thread failed: ${error.message}`));
    worker.on('exit', (code) => {
      if (!closing) resolve(`its thread exited with code ${code}`);
    });
  });
  return {
    name,
    create<T>() {
      const { port1, port2 } = new MessageChannel();
      worker.postMessage(port2, [port2]);
      return { remote: reach<T>(port1), letGo: () => port1.close() };
    },
    died,
    async close() {
      closing = true;
      await worker.terminate();
    },
  };
}

/** The thread's own side: offers a new actor at each port that comes. Nothing of one is left in the next. */
export function serve(create: () => object): void {
  parentPort!.on('message', (port: MessagePort) => offer(create(), port));
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
  if (error instanceof DivergedError) return new DivergedError(`${where}: ${error.message}`);
  if (error.name === 'DivergedError') return new DivergedError(error.message);
  const hasCrossed = !(error instanceof RunError);
  if (error.name === 'RunError' && hasCrossed) return new RunError(error.message);
  return new RunError(`${where}: ${error.message}`, { cause: error });
}
