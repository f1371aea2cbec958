import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/openDevice.js';
import { recordWorkers } from '../recordWorkers.js';

const test = suite('the pool of compute threads');

/** Node aborted in about 3 of 100 rounds while threads threw what they stopped for, most often after this wait. */
const [ROUNDS, WAIT_MS] = [24, 2];

test('a pool that is closed just after one of its threads died ends only itself', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const { result: device, workers } = await recordWorkers(() => openDevice('wasm', { threads: 8 }));
    assert.is(workers.length, 8);
    await workers[0]!.terminate();
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    await device.close();
    assert.is(workers.filter(({ threadId }) => threadId !== -1).length, 0);
  }
});

test.run();
