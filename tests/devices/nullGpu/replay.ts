import { GpuHost } from '#src/devices/webgpu/host.js';
import { RemoteDevice } from '#src/devices/webgpu/remoteDevice.js';
import { type StepShape, stepModules } from './modules.js';

/**
 * On the GPU that Vulkan offers, as a run does it: the GPU in a thread of its own, pipelines tried out, variants timed,
 * programs replayed. Argument: `StepShape` as JSON; stdout: `Replayed` as JSON; stderr: what a user would be told.
 */

export interface Replayed {
  readonly description: string;
  /** Names of the variants that were chosen. */
  readonly chosen: readonly string[];
  readonly seconds: number;
}

const start = performance.now();
const host = await GpuHost.start({});
const device = new RemoteDevice(host.connect());
for (const module of stepModules(JSON.parse(process.argv[2]!) as StepShape, host.info.lossScaling)) {
  const session = await device.compile(module);
  for (const { name } of module.programs) await session.run(name);
  await session.close();
}
const chosen = [...new Set(Object.values(await host.choices()))].sort();
await device.close();
await host.close();
const replayed: Replayed = {
  ...{ description: host.info.description, chosen, seconds: (performance.now() - start) / 1000 },
};
process.stdout.write(JSON.stringify(replayed));
