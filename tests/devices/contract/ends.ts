import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { PRIORITY } from '#src/devices/device.js';
import {
  amid,
  CLOSED,
  type Compile,
  calls,
  type DeviceKind,
  expectClosed,
  fill,
  long,
  messageOf,
  PRODUCT,
  products,
} from './support.js';

/** Sessions and devices that are closed, and devices that die. */
export function addEnds(test: Test, kind: DeviceKind, compile: Compile): void {
  test('after close every call rejects; a second close is fine', async () => {
    const [session, other] = [await compile(products()), await compile(products())];
    await Promise.all([session.close(), session.close()]);
    await session.close();
    await expectClosed(session);
    assert.match(await messageOf(() => session.handle()), CLOSED);
    await other.run('once');
    await other.close();
  });

  test('close amid a replay waits for it, rejects what waits behind it, and leaves others alone', async () => {
    const [session, other] = [await compile(long(kind.calls)), await fill(await compile(products()))];
    const { done } = await amid(session);
    const behind = [session.run('short', PRIORITY.evaluator), session.run('short', PRIORITY.evaluator)];
    // One of them may be on its way by now, where replays are handed over ahead.
    const outcomes = Promise.allSettled(behind);
    await session.close();
    await done;
    for (const outcome of await outcomes)
      if (outcome.status === 'rejected') assert.match(outcome.reason.message, CLOSED);
    assert.is((await outcomes)[1]!.status, 'rejected');
    assert.match(await messageOf(() => session.run('short')), CLOSED);
    await other.run('once');
    assert.equal(await other.read(other.value('y')), PRODUCT);
    await other.close();
  });

  test('a device that is closed has waited for what runs, and closed its sessions', async () => {
    const own = await kind.open();
    const [session, other] = [await own.compile(long(kind.calls)), await own.compile(products())];
    const { done } = await amid(session);
    const finished = done.then(() => true);
    await own.close();
    assert.ok(await finished);
    for (const call of calls(other)) assert.match(await messageOf(call), /closed/);
    assert.match(await messageOf(() => own.compile(products())), /closed|gone/);
    await Promise.all([session.close(), own.close()]);
  });

  for (const [what, openMortal] of Object.entries(kind.deaths)) {
    test(`when ${what} dies, all that waits and comes later rejects; closing is fine`, async () => {
      const { device: mortal, kill } = await openMortal();
      const [session, other] = [await mortal.compile(long(kind.calls)), await mortal.compile(products())];
      const { done } = await amid(session);
      const waiting = other.run('once', PRIORITY.evaluator);
      const outcomes = Promise.allSettled([done, waiting]);
      await kill();
      assert.is((await outcomes)[1]!.status, 'rejected');
      for (const call of calls(other)) await messageOf(call);
      await Promise.all([session.close(), other.close()]);
      await mortal.close();
    });
  }
}
