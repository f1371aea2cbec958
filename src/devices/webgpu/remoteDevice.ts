import type { MessagePort } from 'node:worker_threads';
import type { MemoryPlan } from '../../program/plan.js';
import type { Module } from '../../program/types.js';
import type { Compiling, Device, DeviceInfo, Session, SessionHandle, TellCompiling } from '../device.js';
import { type Answer, Client, describeError } from './client.js';
import { planOn } from './layout.js';
import type { Target } from './lowering/lowering.js';
import { RemoteSession } from './remote.js';

interface Request {
  readonly id: number;
  readonly module: Module;
}

/** Compiles for the thread at the other end of `port`, until it closes it. */
export function serveDevice(device: Device, port: MessagePort): void {
  port.on('message', async ({ id, module }: Request) => {
    const tell = (progress: Compiling) =>
      port.postMessage({ id, type: 'progress', progress } satisfies Answer);
    try {
      const { payload } = (await device.compile(module, tell)).handle();
      port.postMessage({ id, type: 'result', result: payload } satisfies Answer, [payload as MessagePort]);
    } catch (error) {
      port.postMessage({ id, type: 'error', ...describeError(error) } satisfies Answer);
    }
  });
  port.unref();
}

/** How a thread reaches the GPU that another thread owns. */
export interface GpuConnection {
  readonly name: 'webgpu';
  readonly info: DeviceInfo;
  readonly target: Target;
  readonly port: MessagePort;
}

/** A GPU that another thread owns. `close` leaves it. */
export class RemoteDevice implements Device {
  readonly info: DeviceInfo;
  readonly #target: Target;
  readonly #client: Client;
  readonly #sessions: Session[] = [];

  constructor({ info, target, port }: GpuConnection) {
    this.info = info;
    this.#target = target;
    this.#client = new Client(port, 'the thread that owns the GPU is gone');
  }

  plan(module: Module): MemoryPlan {
    return planOn(module, this.#target);
  }

  async compile(module: Module, tell?: TellCompiling): Promise<Session> {
    const request = (id: number) => ({ id, module }) satisfies Request;
    const { done } = this.#client.ask<MessagePort>(request, tell);
    return this.#kept(new RemoteSession(await done, module, this.plan(module), true));
  }

  async attach(module: Module, handle: SessionHandle): Promise<Session> {
    return this.#kept(RemoteSession.join(handle, module, this.plan(module)));
  }

  #kept(session: Session): Session {
    this.#sessions.push(session);
    return session;
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
    this.#client.close('the device is closed');
  }
}
