import { type MessagePort, parentPort } from 'node:worker_threads';
import type { DeviceInfo } from '../device.js';
import { describeError } from './client.js';
import { WebGpuDevice, type WebGpuOptions } from './device.js';
import type { Target } from './lowering/lowering.js';
import { serveDevice } from './remoteDevice.js';

/** What the owner of this thread says. */
export type Order =
  | { readonly type: 'start'; readonly options: WebGpuOptions }
  | { readonly type: 'connect'; readonly port: MessagePort }
  | { readonly type: 'choices' | 'close' };

/** The answer to `start`. */
export type Started =
  | { readonly type: 'started'; readonly info: DeviceInfo; readonly target: Target }
  | { readonly type: 'failed'; readonly name: string; readonly message: string };

/**
 * A thread that owns a GPU. It is never terminated, only asked to close: Dawn takes the whole process down when its
 * thread goes while it waits for the GPU. Threads that may fail or be terminated reach the GPU through ports.
 */
let device: WebGpuDevice | undefined;

parentPort!.on('message', async (order: Order) => {
  if (order.type === 'connect') return serveDevice(device!, order.port);
  if (order.type === 'start') return parentPort!.postMessage(await start(order.options));
  if (order.type === 'choices') return parentPort!.postMessage(device!.tuner.choices);
  await device?.close();
  parentPort!.close();
});

async function start(options: WebGpuOptions): Promise<Started> {
  try {
    device = await WebGpuDevice.start(options);
    return { type: 'started', info: device.info, target: device.target };
  } catch (error) {
    return { type: 'failed', ...describeError(error) };
  }
}
