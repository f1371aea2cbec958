import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { channelAt, portOf } from '#src/world/channel.js';
import { inWorld } from './inMemory.js';

const world = suite('a world in memory');

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => assert.unreachable('expected it to fail') as never,
    (error: Error) => error.message,
  );

const shared = (values: readonly number[]) => {
  const data = new Float32Array(new SharedArrayBuffer(4 * values.length));
  data.set(values);
  return data;
};

world('all ranks see the values of all, in order of their ranks, whoever comes first', async () => {
  const seen = await inWorld(3, async ({ rank, channel, port }) => {
    await new Promise((resolve) => setTimeout(resolve, 5 * (3 - rank)));
    const first = channel.gather({ rank }, 'first');
    const other = channelAt(portOf({ port }, 'student'));
    const second = await other.gather(rank * 10, 'second');
    return [await first, second];
  });
  const expected = [
    [{ rank: 0 }, { rank: 1 }, { rank: 2 }],
    [0, 10, 20],
  ];
  assert.equal(seen, [expected, expected, expected]);
});

world('parts are exchanged and completed as by Alltoallv and Allgatherv', async () => {
  const seen = await inWorld(2, async ({ rank, channel }) => {
    const sent = { data: shared(rank === 0 ? [1, 2, 3] : [4, 5, 6]), counts: [1, 2] };
    const counts = rank === 0 ? [1, 1] : [2, 2];
    const received = { data: shared(new Array(rank === 0 ? 2 : 4).fill(0)), counts };
    await channel.exchange(sent, received, 'slices');
    const whole = { data: shared(rank === 0 ? [7, 0, 0] : [0, 8, 9]), counts: [1, 2] };
    await channel.complete(whole, 'sums');
    return [[...received.data], [...whole.data]];
  });
  assert.equal(seen, [
    [
      [1, 4],
      [7, 8, 9],
    ],
    [
      [2, 3, 5, 6],
      [7, 8, 9],
    ],
  ]);
});

world('a rank that fails ends all, and its error is told', async () => {
  const failing = inWorld(3, async ({ rank, channel }) => {
    if (rank === 1) throw new Error('rank 1 is broken');
    await channel.gather(0, 'waiting');
  });
  assert.is(await failureOf(failing), 'rank 1 is broken');
});

world(
  'a rank that leaves while others wait for it, and ranks that meet for different purposes, fail',
  async () => {
    const leaving = inWorld(2, async ({ rank, channel }) => {
      if (rank === 0) await channel.gather(0, 'a step');
    });
    assert.match(await failureOf(leaving), /expected rank 1 at gather a step, found that it had left/);
    const different = inWorld(2, ({ rank, channel }) => channel.gather(0, `step ${rank}`));
    assert.match(await failureOf(different), /found gather step 0 and gather step 1/);
  },
);

world.run();
