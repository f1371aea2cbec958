import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import type { MemoryPlan } from '../program/plan.js';
import type { Module } from '../program/types.js';
import { chooseDevice } from './choose.js';
import type { Device, DeviceInfo } from './device.js';
import { WasmDevice } from './wasm/device.js';
import { planOn } from './wasm/layout.js';
import { Pool } from './wasm/pool.js';
import type { WebGpuOptions } from './webgpu/device.js';
import { GpuHost } from './webgpu/host.js';
import { type GpuConnection, RemoteDevice } from './webgpu/remoteDevice.js';
import type { Choices } from './webgpu/tuningCache.js';

/** How an actor reaches the run's device. Posted to its thread; `port` must be transferred. */
export type DeviceConnection =
  | { readonly name: 'wasm'; readonly threads: number; readonly port: MessagePort }
  | GpuConnection;

/** A device that actors share, owned by the thread that starts them. */
export interface DeviceHost {
  readonly info: DeviceInfo;
  plan(module: Module): MemoryPlan;
  /** A connection for one actor. */
  connect(): DeviceConnection;
  /** What the device chose by timing so far: which variant of a kernel for which product. */
  choices(): Promise<Choices>;
  /** Resolves with the cause when the device has died. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

/** Choices of a run's devices. */
export interface HostChoices {
  readonly student: Choices;
  readonly teacher: Choices;
}

/** Where the models of a run live: on one device, or the teacher on another. */
export interface DeviceHosts {
  readonly student: DeviceHost;
  readonly teacher: DeviceHost;
  readonly description: string;
  close(): Promise<void>;
}

export interface DeviceOptions extends Omit<WebGpuOptions, 'choices'> {
  /** Compute threads of the wasm device (default: all cores). */
  readonly threads?: number | undefined;
}

/** Starts a device of a run, as `--device` names it. Throws an InputError where this machine has no such device. */
async function hostDevice(
  device: string,
  { threads, ...options }: DeviceOptions,
  choices: Choices | undefined,
): Promise<DeviceHost> {
  const { name, adapter, note } = await chooseDevice(device);
  if (name === 'wasm') return hostWasm(threads, note);
  return GpuHost.start({ ...options, choices, ...(adapter === undefined ? {} : { adapter }) });
}

/**
 * Starts the devices of a run; closes the first where the second fails.
 * @param chosen what the devices of a resumed run have chosen
 */
export async function hostDevices(
  { device, teacherDevice = device }: { device: string; teacherDevice?: string | undefined },
  options: DeviceOptions,
  chosen?: HostChoices,
): Promise<DeviceHosts> {
  const student = await hostDevice(device, options, chosen?.student);
  const { description } = student.info;
  if (teacherDevice === device)
    return { student, teacher: student, description, close: () => student.close() };
  const teacher = await hostDevice(teacherDevice, options, chosen?.teacher).catch(async (error: unknown) => {
    await student.close();
    throw error;
  });
  return {
    student,
    teacher,
    description: `${description}; teacher on ${teacher.info.description}`,
    close: async () => {
      await Promise.all([student.close(), teacher.close()]);
    },
  };
}

async function hostWasm(threads = availableParallelism(), note?: string): Promise<DeviceHost> {
  const pool = await Pool.start(threads);
  const info = WasmDevice.describe(threads);
  return {
    info: note === undefined ? info : { ...info, description: `${info.description} (${note})` },
    plan: planOn,
    connect: () => ({ name: 'wasm', threads, port: pool.connect() }),
    choices: async () => ({}),
    failed: pool.failed,
    close: () => pool.close(),
  };
}

/** The actor's side of `DeviceHost.connect`. */
export const joinDevice = (connection: DeviceConnection): Device =>
  connection.name === 'wasm'
    ? new WasmDevice(connection.port, connection.threads)
    : new RemoteDevice(connection);
