import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Study, type StudyResult, study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../support.js';
import { inWorld } from '../world/inMemory.js';
import { studyFixture } from './studies.js';

/** A study that is stopped before its first cell. */

const { fixture, freshFolder, written } = studyFixture('study-stop');

/** As long as a study that is stopped may take to its end, on a machine that has much to do. */
const SOON_MS = 5000;

async function endsSoon(running: Study): Promise<StudyResult> {
  const start = performance.now();
  running.stop();
  const result = await running.finished;
  assert.ok(performance.now() - start < SOON_MS, `${performance.now() - start} ms`);
  return result;
}

const test = suite('stop before the first cell');

test('while the Hub does not answer: any rank stops all', async () => {
  const asked = { count: 0 };
  const server = createServer(() => {
    asked.count++;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env.HF_HOME = temporaryFolder('study-stop-hub');
  const folder = freshFolder();
  const config = join(folder, 'study.yaml');
  writeFileSync(
    config,
    `options: {student: nobody/nothing, data: ${fixture.jsonl}, threads: 1}\nlength: {steps: 1}\n`,
  );
  try {
    for (const size of [1, 2]) {
      const before = asked.count;
      const results = await inWorld(size, async (world) => {
        const out = join(folder, `out-${world.rank}`);
        const running = study({ config, out }, world);
        if (world.rank < size - 1) return running.finished;
        while (asked.count === before) await delay(10);
        return endsSoon(running);
      });
      for (const { finished, cells, remaining } of results) {
        assert.equal([finished, cells, remaining], [false, 0, 1]);
      }
      assert.not.ok(existsSync(join(folder, 'out-0')));
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a dry run, amid a shape', async () => {
  const ranks = Array.from({ length: 32 }, (_, i) => i + 1);
  const config = written(`axes: {rank: [${ranks}], batch: [4096]}\nlength: {steps: 1}\n`);
  const running = study({ config, out: join(freshFolder(), 'out'), dryRun: true });
  await delay(500);
  const { estimate, remaining } = await endsSoon(running);
  assert.equal([estimate, remaining], [undefined, 32]);
});

test.run();
