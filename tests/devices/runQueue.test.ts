import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RunQueue } from '#src/devices/webgpu/runQueue.js';

/** Adds jobs of the given names and priorities; resolves with the names in the order in which they ran. */
async function order(queue: RunQueue, jobs: readonly (readonly [string, number])[]): Promise<string[]> {
  const ran: string[] = [];
  await Promise.all(jobs.map(([name, priority]) => queue.add(priority, async () => ran.push(name))));
  return ran;
}

test('lower priorities go first, equal ones in order', async () => {
  const jobs = [
    ['c', 2],
    ['b1', 1],
    ['a', 0],
    ['b2', 1],
  ] as const;
  assert.equal(await order(new RunQueue(), jobs), ['a', 'b1', 'b2', 'c']);
});

test('jobs never overlap, and one that fails rejects alone', async () => {
  const queue = new RunQueue();
  let running = 0;
  const job = async () => {
    assert.is(++running, 1);
    await new Promise(setImmediate);
    running--;
    throw new Error('failed');
  };
  const outcomes = await Promise.allSettled([
    queue.add(0, job),
    queue.add(0, job),
    order(queue, [['next', 0]]),
  ]);
  assert.equal(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'fulfilled'],
  );
});

test('a job is told how long it waited, and goes first after a second', async () => {
  const { now } = performance;
  let time = 0;
  performance.now = () => time;
  try {
    const queue = new RunQueue();
    const ran: string[] = [];
    const evaluator = queue.add(2, async (waitMs) => ran.push(`evaluator after ${waitMs}`));
    const student = async () => {
      time += 600;
      ran.push('student');
    };
    await Promise.all([queue.add(0, student), queue.add(0, student), queue.add(0, student), evaluator]);
    assert.equal(ran, ['student', 'student', 'evaluator after 1200', 'student']);
  } finally {
    performance.now = now;
  }
});

test.run();
