import { getEventListeners } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { onStop, untilStopped } from '#src/base/stopping.js';

test('a signal has one listener, whatever it stops, and none once nothing is left to stop', async () => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, 'abort').length;
  let end = () => {};
  const work = new Promise<void>((resolve) => {
    end = resolve;
  });
  const calls = Array.from({ length: 30 }, () => untilStopped(() => work, signal, 'wait'));
  assert.is(listeners(), 1);
  end();
  await Promise.all(calls);
  assert.is(listeners(), 0);
  onStop(signal, () => {});
  assert.is(listeners(), 1);
});

test('what is taken back is not stopped, all else is, once', () => {
  const controller = new AbortController();
  const stopped: string[] = [];
  const [first, second] = ['first', 'second'].map((name) =>
    onStop(controller.signal, () => void stopped.push(name)),
  );
  onStop(controller.signal, () => void stopped.push('third'));
  second!();
  second!();
  controller.abort();
  first!();
  controller.abort();
  assert.equal(stopped, ['first', 'third']);
});

test.run();
