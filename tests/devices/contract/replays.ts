import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { PRIORITY, type Session } from '#src/devices/device.js';
import {
  amid,
  type Compile,
  DEPTH,
  type DeviceKind,
  fill,
  long,
  messageOf,
  PRODUCT,
  products,
  ROWS,
  WIDTH,
} from './support.js';

/** Programs that run: what they leave, and who goes first. */
export function addReplays(test: Test, kind: DeviceKind, compile: Compile): void {
  test('a program is replayed on new data, and profiled', async () => {
    const session = await fill(await compile(products()));
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
    for (const unknown of [
      () => session.run('thrice'),
      () => session.submit('thrice', PRIORITY.student, []).done,
    ]) {
      assert.match(await messageOf(unknown), 'Expected a program named thrice');
    }
    await session.close();
  });

  test('values come as they were when the replay was over, whatever runs behind it', async () => {
    const session = await fill(await compile(products()));
    const y = session.value('y');
    const replays = ['once', 'negated', 'once'].map((name) => session.submit(name, PRIORITY.student, [y]));
    const found = await Promise.all(replays.map(({ done }) => done));
    const negated = PRODUCT.map((x) => -x);
    assert.equal(
      found.map(({ values: [value] }) => value),
      [PRODUCT, negated, PRODUCT],
    );
    await session.close();
  });

  test('who waits is served by priority, over all sessions', async () => {
    const module = long(kind.calls);
    const [a, b, busy] = [await compile(module), await compile(module), await compile(module)];
    const order: string[] = [];
    const run = (label: string, session: Session, priority: number) =>
      session.run('short', priority).then(() => order.push(label));
    // A device may have one ready behind the one that runs.
    const { done } = await amid(busy, ['short', 'short']);
    await Promise.all([
      run('evaluator', a, PRIORITY.evaluator),
      run('teacher', b, PRIORITY.teacher),
      run('student 1', a, PRIORITY.student),
      run('student 2', b, PRIORITY.student),
    ]);
    await done;
    assert.equal(order.slice(0, 2).sort(), ['student 1', 'student 2']);
    assert.equal(order.slice(2), ['teacher', 'evaluator']);
    await Promise.all([a, b, busy].map((session) => session.close()));
  });

  test('two sessions of one module have values of their own', async () => {
    const module = products();
    const [a, b] = [await fill(await compile(module)), await compile(module)];
    await Promise.all([a.run('once'), b.run('once')]);
    assert.equal(await a.read(a.value('y')), PRODUCT);
    assert.equal(await b.read(b.value('y')), new Float32Array(ROWS * WIDTH));
    await b.close();
    await a.run('twice');
    assert.equal(
      await a.read(a.value('z')),
      PRODUCT.map((x) => 2 * x),
    );
    await a.close();
  });
}
