import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, PRIORITY, type Session, type SessionHandle } from '#src/devices/device.js';
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
import type { DType, Module } from '#src/program/types.js';
import { inputErrorOf } from '../inputErrors.js';
import { gpuSuite, noGpu, openChanged } from './gpuDevice.js';
import type { Order, Reply } from './webgpuThread.js';

const [ROWS, DEPTH, WIDTH] = [3, 4, 5];

/** y = x W^T and z = y + x W^T, in programs of their own. */
function doubled(): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [ROWS, DEPTH]);
  const weight = b.value('weight', 'w', [WIDTH, DEPTH]);
  const outputs = ['y', 'z'].map((name) => b.value('output', name, [ROWS, WIDTH]));
  const [y, z] = outputs as [(typeof outputs)[0], (typeof outputs)[0]];
  const scales = { scale: 1, scale2: 1 };
  b.program('once', { arena: 'a' }, () => b.call('linear', [null, x, weight, null, null], [y], scales));
  b.program('twice', { arena: 'a' }, () => b.call('linear', [y, x, weight, null, null], [z], scales));
  return b.module();
}

/** A value of each element type, of an odd number of elements; no programs. */
function storage(): Module {
  const b = new Builder();
  for (const dtype of ['f32', 'bf16', 'f16', 'u32', 'i32'] as DType[]) b.value('state', dtype, [3, 7], dtype);
  b.value('state', 'large', [3, 2 ** 19 + 1]);
  return b.module();
}

/** x W^T for the given sizes, in f32. */
function product(rows: number, depth: number, width: number): Module {
  const b = new Builder();
  const x = b.value('input', 'x', [rows, depth]);
  const weight = b.value('weight', 'w', [width, depth]);
  b.program('run', { arena: 'a' }, () => linear(b, 'y', [{ x, weight }]));
  return b.module();
}

const INPUT = Float32Array.from({ length: ROWS * DEPTH }, (_, i) => i - 5);
const WEIGHT = Float32Array.from({ length: WIDTH * DEPTH }, (_, i) => (i % 7) - 3);
const PRODUCT = Float32Array.from({ length: ROWS * WIDTH }, (_, at) => {
  const [i, j] = [Math.floor(at / WIDTH), at % WIDTH];
  return Array.from({ length: DEPTH }, (_, k) => INPUT[i * DEPTH + k]! * WEIGHT[j * DEPTH + k]!).reduce(
    (a, b) => a + b,
  );
});

async function fill(session: Session): Promise<void> {
  await session.write(session.value('x'), INPUT);
  await session.write(session.value('w'), WEIGHT);
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

/** A worker thread that obeys orders one by one. */
class Thread {
  readonly #worker = new Worker(new URL('./webgpuThread.js', import.meta.url));
  readonly exited = once(this.#worker, 'exit');

  async tell(order: Order, transfer: readonly unknown[] = []): Promise<unknown> {
    this.#worker.postMessage(order, transfer as never);
    const [reply] = (await once(this.#worker, 'message')) as [Reply];
    if ('error' in reply) throw new Error(reply.error);
    return reply.result;
  }

  attach(module: Module, handle: SessionHandle): Promise<unknown> {
    return this.tell({ type: 'attach', module, handle }, handle.transfer);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
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

testGpu('values start as zeros and keep what is written, in every type', async () => {
  const session = await device.compile(storage());
  for (const [name, array] of [
    ['f32', Float32Array],
    ['bf16', Uint16Array],
    ['f16', Uint16Array],
    ['u32', Uint32Array],
    ['i32', Int32Array],
  ] as const) {
    const value = session.value(name);
    assert.equal(await session.read(value), new array(21));
    const data = new array(21).map((_, i) => 3 * i + 1);
    await session.write(value, data);
    assert.equal(await session.read(value), data);
  }
  await session.close();
});

testGpu('a part is written without touching its neighbours, at any offset', async () => {
  const session = await device.compile(storage());
  const value = session.value('bf16');
  for (let from = 0; from < 21; from++) {
    for (const length of [0, 1, 2, 3, 21 - from]) {
      if (from + length > 21) continue;
      const before = Uint16Array.from({ length: 21 }, (_, i) => 100 + i);
      await session.write(value, before);
      const part = Uint16Array.from({ length }, (_, i) => 900 + i);
      await session.write(value, part, from);
      before.set(part, from);
      assert.equal(await session.read(value), before, `${length} from ${from} on`);
    }
  }
  await session.close();
});

testGpu('a range is read, from any element on, in every type', async () => {
  const session = await device.compile(storage());
  for (const name of ['f32', 'bf16', 'i32']) {
    const value = session.value(name);
    const array = name === 'f32' ? Float32Array : name === 'i32' ? Int32Array : Uint16Array;
    const data = new array(21).map((_, i) => 7 * i + 1);
    await session.write(value, data);
    for (let from = 0; from <= 21; from++) {
      assert.equal(await session.read(value, from), data.slice(from), `${name} from ${from} on`);
      for (const length of [0, 1, 2, 3].filter((count) => from + count <= 21))
        assert.equal(await session.read(value, from, length), data.slice(from, from + length));
    }
    assert.match(await messageOf(() => session.read(value, 20, 2)), 'its 21 elements, found 20 to 22');
    assert.match(await messageOf(() => session.read(value, -1, 2)), 'found -1 to 1');
  }
  await session.close();
});

testGpu('values larger than the staging buffers, and arrays in shared memory, are copied whole', async () => {
  const session = await device.compile(storage());
  const value = session.value('large');
  const data = new Float32Array(new SharedArrayBuffer(4 * 3 * (2 ** 19 + 1)));
  for (let i = 0; i < data.length; i++) data[i] = i;
  await session.write(value, data);
  const read = await session.read(value);
  assert.is(read.length, data.length);
  assert.is(
    read.findIndex((x, i) => x !== i),
    -1,
  );
  await session.close();
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

testGpu('wrong types and lengths are refused', async () => {
  const session = await device.compile(storage());
  const value = session.value('f32');
  assert.match(
    await messageOf(() => session.write(value, new Int32Array(1))),
    'write f32: expected at most 21 elements of f32 in a Float32Array, found 1 in a Int32Array',
  );
  assert.match(await messageOf(() => session.write(value, new Float32Array(20), 2)), 'found 20 in a');
  assert.match(await messageOf(() => session.write(value, new Float32Array(1), -1)), 'from -1 on');
  await session.close();
});

testGpu('a program is replayed on new data, and profiled', async () => {
  const session = await device.compile(doubled());
  await fill(session);
  const { totalMs, waitMs } = await session.run('once');
  assert.ok(totalMs >= waitMs && waitMs >= 0);
  await session.run('twice');
  assert.equal(await session.read(session.value('y')), PRODUCT);
  assert.equal(
    await session.read(session.value('z')),
    PRODUCT.map((x) => 2 * x),
  );
  await session.write(session.value('x'), new Float32Array(ROWS * DEPTH));
  await session.run('once');
  assert.equal(await session.read(session.value('y')), new Float32Array(ROWS * WIDTH));
  const [profile, ...more] = await session.profile();
  assert.is(more.length, 0);
  assert.is(profile!.op, 'linear');
  assert.is(profile!.calls, 3);
  assert.is(profile!.flops, 3 * 2 * ROWS * DEPTH * WIDTH);
  assert.match(await messageOf(() => session.run('thrice')), 'Expected a program named thrice');
  assert.match(await messageOf(() => session.value('nothing')), 'Expected a value named nothing');
  await session.close();
});

testGpu('who waits is served by priority, then in order, over all sessions', async () => {
  const sessions = await Promise.all([device.compile(doubled()), device.compile(doubled())]);
  const [a, b] = sessions as [Session, Session];
  const order: string[] = [];
  const run = (label: string, session: Session, priority: number) =>
    session.run('once', priority).then(() => order.push(label));
  await Promise.all([
    run('evaluator', a, PRIORITY.evaluator),
    run('teacher', b, PRIORITY.teacher),
    run('student 1', a, PRIORITY.student),
    run('student 2', b, PRIORITY.student),
  ]);
  assert.equal(order, ['student 1', 'student 2', 'teacher', 'evaluator']);
  await Promise.all(sessions.map((session) => session.close()));
});

testGpu('after close every call rejects', async () => {
  const session = await device.compile(doubled());
  const [value, waiting] = [session.value('x'), session.run('once')];
  const outcome = messageOf(() => waiting);
  await session.close();
  await session.close();
  for (const call of [
    () => session.run('once'),
    () => session.read(value),
    () => session.write(value, INPUT),
    () => session.profile(),
    () => session.handle(),
  ]) {
    assert.is(await messageOf(call), 'the session is closed');
  }
  assert.is(await outcome, 'the session is closed');
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

testGpu('another thread uses a session through its handle', async () => {
  const module = doubled();
  const session = await device.compile(module);
  const thread = new Thread();
  await thread.attach(module, session.handle());
  await thread.tell({ type: 'write', value: 'x', data: INPUT });
  await session.write(session.value('w'), WEIGHT);
  const stats = await thread.tell({ type: 'run', program: 'once', priority: PRIORITY.evaluator });
  assert.type((stats as { totalMs: number }).totalMs, 'number');
  assert.equal(await thread.tell({ type: 'read', value: 'y' }), PRODUCT);
  assert.equal(await session.read(session.value('y')), PRODUCT);
  assert.is(((await thread.tell({ type: 'profile' })) as unknown[]).length, 1);
  const wrong = () => thread.tell({ type: 'write', value: 'x', data: new Int32Array(1) });
  assert.match(await messageOf(wrong), 'write x: expected at most 12 elements of f32');
  await session.close();
  const late = await messageOf(() => thread.tell({ type: 'read', value: 'y' }));
  assert.is(late, 'the session is closed, or the thread that owns it is gone');
  await thread.end();
});

testGpu('an attached thread passes the session on, and leaves it without closing it', async () => {
  const module = doubled();
  const session = await device.compile(module);
  await fill(session);
  const [first, second] = [new Thread(), new Thread()];
  await first.attach(module, session.handle());
  await second.attach(module, (await first.tell({ type: 'handle' })) as SessionHandle);
  await first.tell({ type: 'closeSession' });
  assert.is(await messageOf(() => first.tell({ type: 'run', program: 'once' })), 'the session is closed');
  await second.tell({ type: 'run', program: 'once' });
  assert.equal(await second.tell({ type: 'read', value: 'y' }), PRODUCT);
  await session.close();
  await Promise.all([first.end(), second.end()]);
});

testGpu('a thread has a device of its own, and its end is clean and noticed', async () => {
  const module = doubled();
  const thread = new Thread();
  await thread.tell({ type: 'compile', module });
  const handle = (await thread.tell({ type: 'handle' })) as SessionHandle;
  const session = await device.attach(module, handle);
  await fill(session);
  await session.run('once');
  assert.equal(await session.read(session.value('y')), PRODUCT);
  await thread.tell({ type: 'close' });
  const [code] = await thread.exited;
  assert.is(code, 0);
  const gone = 'the session is closed, or the thread that owns it is gone';
  assert.is(await messageOf(() => session.run('once')), gone);
});

testGpu('a handle of another kind of device is refused', async () => {
  const handle: SessionHandle = { device: 'wasm', payload: undefined, transfer: [] };
  const message = await messageOf(() => device.attach(doubled(), handle));
  assert.is(message, 'Expected a session of the webgpu device, found one of wasm');
});

/** A GPU device whose failures can be provoked. */
async function openGpu(): Promise<{ gpu: Gpu; session: WebGpuSession }> {
  const found = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(found);
  const module = doubled();
  return { gpu, session: await WebGpuSession.compile(gpu, module, targetOf(found, gpu.dialect)) };
}

testGpu('an error that nobody caught rejects what comes after it', async () => {
  const { gpu, session } = await openGpu();
  gpu.device.createBuffer({ size: 16, usage: 0 });
  await session.run('once').catch(() => {});
  const message = await messageOf(() => session.run('once'));
  assert.match(message, /^the GPU device reported "Buffer usages must not be 0/);
  assert.is(await messageOf(() => session.write(session.value('x'), INPUT)), message);
  assert.is(await messageOf(() => session.read(session.value('x'))), message);
  await gpu.close();
});

testGpu('a lost device rejects the replay that waits for it, and the next', async () => {
  const { gpu, session } = await openGpu();
  const running = session.run('once');
  gpu.device.destroy();
  assert.match(await messageOf(() => running), /^the GPU device was lost/);
  assert.match(await messageOf(() => session.run('once')), /^the GPU device was lost/);
});

test.run();
