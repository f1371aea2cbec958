import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { InputError } from '../errors.js';
import type { MemoryPlan } from '../program/plan.js';
import type { Module } from '../program/types.js';
import type { Device } from './device.js';
import { WasmDevice } from './wasm/device.js';
import { planOn } from './wasm/layout.js';
import { Pool } from './wasm/pool.js';

/** How an actor reaches the run's device. Posted to its thread; `port` must be transferred. */
export interface DeviceConnection {
  readonly name: 'wasm';
  readonly threads: number;
  readonly port: MessagePort;
}

/** The device that all actors of a run share, owned by the thread that starts them. */
export interface DeviceHost {
  readonly name: 'wasm';
  readonly description: string;
  /** Bytes one model may take. */
  readonly maxSessionBytes: number;
  plan(module: Module): MemoryPlan;
  /** A connection for one actor. */
  connect(): DeviceConnection;
  /** Resolves with the cause when the device has died. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

/** Starts the device of a run. `auto` is the CPU until the webgpu device runs every op of a step. */
export async function hostDevice(
  name: 'auto' | 'wasm' | 'webgpu',
  threads = availableParallelism(),
): Promise<DeviceHost> {
  if (name === 'webgpu') {
    throw new InputError('--device: expected auto or wasm, found webgpu, which does not run whole steps yet');
  }
  const pool = await Pool.start(threads);
  const { description, maxSessionBytes } = WasmDevice.describe(threads);
  return {
    name: 'wasm',
    description,
    maxSessionBytes,
    plan: planOn,
    connect: () => ({ name: 'wasm', threads, port: pool.connect() }),
    failed: pool.failed,
    close: () => pool.close(),
  };
}

/** The actor's side of `DeviceHost.connect`. */
export const joinDevice = ({ port, threads }: DeviceConnection): Device => new WasmDevice(port, threads);
