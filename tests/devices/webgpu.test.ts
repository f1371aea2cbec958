import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import { findAdapter, isSoftware } from '#src/devices/webgpu/adapter.js';
import type { WebGpuDevice } from '#src/devices/webgpu/device.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut } from '#src/devices/webgpu/layout.js';
import type { Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { targetOf } from '#src/devices/webgpu/target.js';
import { Builder } from '#src/program/builder.js';
import { linear } from '#src/program/ops/linear.js';
import type { Module } from '#src/program/types.js';
import { inputErrorOf } from '../inputErrors.js';
import { gpuSuite, noGpu, openChanged } from './gpuDevice.js';

/** x W^T for the given sizes, in f32. */
function product(rows: number, depth: number, width: number): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [rows, depth]);
  const weight = b.value('weight', 'w', [width, depth]);
  b.program('run', { arena: 'a' }, () => linear(b, 'y', [{ x, weight }]));
  return b.module();
}

async function messageOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    const { message } = error as Error;
    assert.not.match(message, /\p{Cc}/u);
    return message;
  }
  return assert.unreachable('expected an error, found none') as never;
}

const adapter = noGpu ? undefined : await findAdapter({ allowSoftware: true });

const withoutGpu = suite('without a GPU');

(process.platform === 'linux' ? withoutGpu : withoutGpu.skip)('no driver at all is told in one line', () => {
  const script = `
    import { openDevice } from '#src/devices/openDevice.js';
    await openDevice('webgpu').catch((error) => console.log(error.name, error.message));`;
  const none = '/nonexistent/driver.json';
  const env = { ...process.env, VK_DRIVER_FILES: none, VK_ICD_FILENAMES: none };
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    env,
    encoding: 'utf8',
  });
  assert.is(status, 0);
  assert.match(stdout, /^InputError Expected a GPU that .* found none: .* use --device wasm\n$/);
});

(adapter && isSoftware(adapter.info) ? withoutGpu : withoutGpu.skip)(
  'a software adapter is refused unless it is allowed',
  async () => {
    const message = await inputErrorOf(() => openDevice('webgpu', { allowSoftware: false }));
    assert.match(message, adapter!.info.description);
    assert.match(message, /software.*RIVULET_SOFTWARE_GPU=1/);
  },
);

withoutGpu('what is larger than a buffer or a binding is refused by name', async () => {
  const limits: Target = {
    ...{ bufferBytes: 4000, bindingBytes: 2000, groups: 65535, workgroupBytes: 16384 },
    ...{ precision: 'f32', matrices: null },
  };
  const buffer = await inputErrorOf(() => layOut(product(1, 1001, 1), limits));
  assert.match(buffer, /one buffer of this adapter, found x of 0\.0 MiB/);
  const binding = await inputErrorOf(() => layOut(product(1, 501, 1), limits));
  assert.match(binding, /one binding of this adapter, found x of 0\.0 MiB/);
});

withoutGpu.run();

const { tests: test, test: testGpu } = gpuSuite('webgpu');
let device: Device;

test.before(async () => {
  if (adapter) device = await openDevice('webgpu', { allowSoftware: true });
});
test.after(() => device?.close());

testGpu('the adapter is named', () => {
  assert.is(device.info.name, 'webgpu');
  assert.match(device.info.description, adapter!.info.description);
});

testGpu('data is copied before a write returns, whatever becomes of it', async () => {
  const b = new Builder();
  const large = [5, 2 ** 18] as const;
  // Kept as it is, in words that are read first, as halves.
  const [whole, odd, halved] = [
    b.value('state', 'whole', large),
    b.value('state', 'odd', [9], 'f16'),
    b.value('weight', 'halved', large),
  ];
  const halves = await openChanged({}, { kernels: 'f16' });
  const session = await halves.compile(b.module());
  for (const [value, data, offset] of [
    [whole, new Float32Array(5 * 2 ** 18), 0],
    [odd, new Uint16Array(5), 1],
    [halved, new Float32Array(5 * 2 ** 18), 0],
  ] as const) {
    data.fill(3);
    const written = session.write(value, data, offset);
    data.fill(7);
    await written;
    const read = (await session.read(value)).slice(offset, offset + data.length);
    assert.is(
      read.findIndex((x) => x !== 3),
      -1,
      value.name,
    );
  }
  await halves.close();
});

testGpu('the plan is what is allocated', async () => {
  const module = product(3, 4, 5);
  const { plan } = await device.compile(module);
  assert.equal(plan.bytes, device.plan(module).bytes);
  const layout = layOut(module, (device as WebGpuDevice).target);
  const total = layout.storages.reduce((sum, bytes) => sum + bytes);
  assert.is(total, plan.bytes.persistent + plan.bytes.activations);
  assert.is(total, 4 * (3 * 4 + 5 * 4 + 3 * 5));
});

/** A GPU device whose failures can be provoked. */
async function openGpu(): Promise<{ gpu: Gpu; session: WebGpuSession }> {
  const found = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(found);
  const module = product(3, 4, 5);
  return { gpu, session: await WebGpuSession.compile(gpu, module, targetOf(found, gpu.dialect)) };
}

testGpu('an error that nobody caught rejects what comes after it', async () => {
  const { gpu, session } = await openGpu();
  gpu.device.createBuffer({ size: 16, usage: 0 });
  await session.run('run').catch(() => {});
  const message = await messageOf(() => session.run('run'));
  assert.match(message, /^the GPU device reported "Buffer usages must not be 0/);
  assert.is(await messageOf(() => session.write(session.value('x'), new Float32Array(12))), message);
  assert.is(await messageOf(() => session.read(session.value('x'))), message);
  await gpu.close();
});

testGpu('a lost device rejects the replay that waits for it, and the next', async () => {
  const { gpu, session } = await openGpu();
  const running = session.run('run');
  gpu.device.destroy();
  assert.match(await messageOf(() => running), /^the GPU device was lost/);
  assert.match(await messageOf(() => session.run('run')), /^the GPU device was lost/);
});

test.run();
