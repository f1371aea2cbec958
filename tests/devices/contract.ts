import type { Test } from 'uvu';
import type { Device, Session } from '#src/devices/device.js';
import type { Module } from '#src/program/types.js';
import { addEnds } from './contract/ends.js';
import { addReplays } from './contract/replays.js';
import type { DeviceKind } from './contract/support.js';
import { addThreads } from './contract/threads.js';
import { addValues } from './contract/values.js';

/** What src/devices/device.ts promises of every device, as tests that each kind of device passes. */

/** Adds the contract of one kind of device to a suite. */
export function addContract(tests: Test, test: Test, kind: DeviceKind): void {
  let device: Device;
  let isOpen = false;
  const opened = async (): Promise<Device> => {
    if (!isOpen) device = await kind.open();
    isOpen = true;
    return device;
  };
  tests.after(() => (isOpen ? device.close() : undefined));
  const compile = async (module: Module): Promise<Session> => (await opened()).compile(module);

  addValues(test, compile);
  addReplays(test, kind, compile);
  addEnds(test, kind, compile);
  addThreads(test, kind, opened, compile);
}
