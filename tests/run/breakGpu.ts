import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

/**
 * Loaded before a program (`--import`), in each of its threads: as soon as the run has evaluated step 8, the
 * GPU devices that were opened are lost, as when a driver resets. Only the first time: a run that goes on, goes on.
 */
const CHANNEL = 'lose the GPU';

if (isMainThread) watchOutput();
else watchDevices();

function watchOutput(): void {
  const write = process.stderr.write.bind(process.stderr);
  let done = false;
  process.stderr.write = ((text: string) => {
    const result = write(text);
    if (!done && /^eval {2}step 8/.test(text)) {
      done = true;
      const channel = new BroadcastChannel(CHANNEL);
      channel.postMessage(threadId);
      channel.close();
    }
    return result;
  }) as typeof process.stderr.write;
}

/** What adapter.ts keeps on the global object passes through here. */
function watchDevices(): void {
  const devices: GPUDevice[] = [];
  const kept: unknown[] = [];
  kept.push = (...items: unknown[]) => {
    for (const item of items as GPUAdapter[]) {
      if (typeof item.requestDevice !== 'function') continue;
      const request = item.requestDevice.bind(item);
      item.requestDevice = async (descriptor) => {
        const device = await request(descriptor);
        devices.push(device);
        return device;
      };
    }
    return Array.prototype.push.apply(kept, items);
  };
  (globalThis as Record<symbol, unknown>)[Symbol.for('rivulet.webgpu')] = kept;
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = () => {
    for (const device of devices) device.destroy();
  };
  channel.unref();
}
