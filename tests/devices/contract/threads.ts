import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, PRIORITY, type SessionHandle } from '#src/devices/device.js';
import { DeviceThread } from '../deviceThread.js';
import {
  amid,
  CLOSED,
  type Compile,
  type DeviceKind,
  expectClosed,
  fill,
  INPUT,
  long,
  messageOf,
  PRODUCT,
  products,
  WEIGHT,
} from './support.js';

/** Sessions that several threads use. */
export function addThreads(
  test: Test,
  kind: DeviceKind,
  opened: () => Promise<Device>,
  compile: Compile,
): void {
  test('another thread uses a session through its handle, until the owner closes it', async () => {
    const module = products();
    const session = await compile(module);
    const thread = new DeviceThread(kind.device);
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
    for (const late of [
      { type: 'read', value: 'y' },
      { type: 'write', value: 'x', data: INPUT },
      { type: 'run', program: 'once' },
    ] as const) {
      assert.match(await messageOf(() => thread.tell(late)), CLOSED);
    }
    await thread.close();
  });

  test('who is attached passes the session on, and leaves it without closing it', async () => {
    const module = products();
    const session = await fill(await compile(module));
    const [first, second] = [new DeviceThread(kind.device), new DeviceThread(kind.device)];
    await first.attach(module, session.handle());
    await second.attach(module, (await first.tell({ type: 'handle' })) as SessionHandle);
    await first.tell({ type: 'closeSession' });
    assert.match(await messageOf(() => first.tell({ type: 'run', program: 'once' })), CLOSED);
    await first.close();
    await second.tell({ type: 'run', program: 'once' });
    assert.equal(await second.tell({ type: 'read', value: 'y' }), PRODUCT);
    await session.run('twice');
    await second.close();
    await session.run('twice');
    await session.close();
  });

  test('who leaves amid its own replay leaves the session to the others', async () => {
    const module = long(kind.calls);
    const session = await compile(module);
    const attached = await (await opened()).attach(module, session.handle());
    const { done } = await amid(attached);
    const outcome = done.catch((error: Error) => assert.match(error.message, CLOSED));
    await attached.close();
    await outcome;
    assert.match(await messageOf(() => attached.run('short')), CLOSED);
    await session.run('short');
    await session.close();
  });

  test("a session of another thread's device is used here; its end is clean and noticed", async () => {
    const module = products();
    const thread = new DeviceThread(kind.device);
    await thread.tell({ type: 'compile', module });
    const handle = (await thread.tell({ type: 'handle' })) as SessionHandle;
    const session = await fill(await (await opened()).attach(module, handle));
    await session.run('once');
    assert.equal(await session.read(session.value('y')), PRODUCT);
    await thread.tell({ type: 'close' });
    const [code] = await thread.exited;
    assert.is(code, 0);
    await expectClosed(session);
  });

  test('a handle of another kind of device is refused', async () => {
    const other = kind.device === 'wasm' ? 'webgpu' : 'wasm';
    const handle: SessionHandle = { device: other, payload: undefined, transfer: [] };
    const message = await messageOf(async () => (await opened()).attach(products(), handle));
    assert.is(message, `Expected a session of the ${kind.device} device, found one of ${other}`);
  });
}
