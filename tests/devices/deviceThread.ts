import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { HostArray, Session, SessionHandle } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import type { Module } from '#src/program/types.js';

/** What the thread is told: to attach to a session, to use it, or to do all of it on a device of its own. */
export type Order =
  | { readonly type: 'attach'; readonly module: Module; readonly handle: SessionHandle }
  | { readonly type: 'compile'; readonly module: Module }
  | { readonly type: 'write'; readonly value: string; readonly data: HostArray; readonly offset?: number }
  | { readonly type: 'read'; readonly value: string }
  | { readonly type: 'run'; readonly program: string; readonly priority?: number }
  | { readonly type: 'profile' | 'handle' | 'closeSession' | 'close' };

export type Reply = { readonly result: unknown } | { readonly error: string };

/** A worker thread with a device of its own that obeys orders one by one. */
export class DeviceThread {
  readonly #worker: Worker;
  readonly exited: Promise<unknown[]>;

  /** @param device as `--device` */
  constructor(device: string) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { device } });
    this.exited = once(this.#worker, 'exit');
  }

  async tell(order: Order, transfer: readonly unknown[] = []): Promise<unknown> {
    this.#worker.postMessage(order, transfer as never);
    const [reply] = (await once(this.#worker, 'message')) as [Reply];
    if ('error' in reply) throw new Error(reply.error);
    return reply.result;
  }

  attach(module: Module, handle: SessionHandle): Promise<unknown> {
    return this.tell({ type: 'attach', module, handle }, handle.transfer);
  }

  /** Closes the thread's device and everything on it, and ends the thread. */
  async close(): Promise<void> {
    await this.tell({ type: 'close' });
    await this.exited;
  }
}

if (!isMainThread && (workerData as { device?: string } | null)?.device) await obeyOrders();

async function obeyOrders(): Promise<void> {
  const { device: name } = workerData as { device: string };
  const device = await openDevice(name, { threads: 1, allowSoftware: true });
  let session: Session | undefined;
  const obey = async (order: Order): Promise<unknown> => {
    if (order.type === 'attach') session = await device.attach(order.module, order.handle);
    else if (order.type === 'compile') session = await device.compile(order.module);
    else if (order.type === 'write')
      await session!.write(session!.value(order.value), order.data, order.offset);
    else if (order.type === 'read') return session!.read(session!.value(order.value));
    else if (order.type === 'run') return session!.run(order.program, order.priority);
    else if (order.type === 'profile') return session!.profile();
    else if (order.type === 'handle') return session!.handle();
    else if (order.type === 'closeSession') await session!.close();
    else await device.close();
    return undefined;
  };
  parentPort!.on('message', async (order: Order) => {
    const reply = await obey(order).then(
      (result): Reply => ({ result }),
      (error: Error): Reply => ({ error: error.message }),
    );
    const handle = order.type === 'handle' && 'result' in reply ? (reply.result as SessionHandle) : undefined;
    parentPort!.postMessage(reply, (handle?.transfer ?? []) as never);
    if (order.type === 'close') parentPort!.close();
  });
}
