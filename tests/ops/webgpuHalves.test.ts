import { kernelKinds } from '../devices/gpuDevice.js';
import { opsOn } from './webgpu.js';

/** Halves in storage, also on matrix units where there are any. */
for (const kernels of kernelKinds.filter((kind) => kind !== 'f32')) {
  const test = opsOn(kernels);
  test.run();
}
