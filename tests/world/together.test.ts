import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, RunError } from '#src/base/errors.js';
import { firstOfMachine, fromFirst, ROUND_MS, ToldElsewhere, together } from '#src/world/together.js';
import { ALONE, type World } from '#src/world/world.js';
import { inWorld } from './inMemory.js';

const ranks = suite('ranks together');

/** What each rank's work ended with: its value, or the error that was thrown there. */
const endings = <T>(size: number, work: (world: World) => Promise<T>) =>
  inWorld(size, (world) =>
    work(world).then(
      (value) => ({ value }),
      (error: Error) => ({ error }),
    ),
  );

ranks('what all succeed in is each one’s own', async () => {
  const ended = await endings(3, (world) => together(world, 'checks', () => world.rank * 2));
  assert.equal(ended, [{ value: 0 }, { value: 2 }, { value: 4 }]);
  assert.is(await together(ALONE, 'checks', () => 7), 7);
});

ranks('the lowest rank that fails throws its error, and the others that it was told there', async () => {
  const ended = await endings(4, (world) =>
    together(world, 'checks', () => {
      if (world.rank === 1 || world.rank === 3) throw new InputError(`no text on rank ${world.rank}`);
    }),
  );
  const errors = ended.map((ending) => ('error' in ending ? ending.error : undefined));
  assert.instance(errors[1], InputError);
  assert.is(errors[1]!.message, 'no text on rank 1');
  for (const rank of [0, 2, 3]) {
    assert.instance(errors[rank], ToldElsewhere);
    assert.equal((errors[rank] as ToldElsewhere).failure, {
      name: 'InputError',
      message: 'no text on rank 1',
    });
  }
});

ranks('what rank 0 makes all have, and nobody else makes it', async () => {
  const made: number[] = [];
  const ended = await endings(3, (world) =>
    fromFirst(world, 'a plan', () => {
      made.push(world.rank);
      return { cells: [1, 2] };
    }),
  );
  assert.equal(made, [0]);
  assert.equal(
    ended,
    [0, 1, 2].map(() => ({ value: { cells: [1, 2] } })),
  );
});

ranks('a failure stops the work of all others, which is waited for and not told', async () => {
  const stopped: number[] = [];
  const ended = await endings(3, (world) =>
    together(world, 'work', async (signal) => {
      if (world.rank === 1) throw new RunError('the disk is full');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      stopped.push(world.rank);
      throw new RunError('stopped');
    }),
  );
  assert.equal(stopped.sort(), [0, 2]);
  const errors = ended.map((ending) => ('error' in ending ? ending.error : undefined));
  assert.equal(
    errors.map((error) => error!.constructor),
    [ToldElsewhere, RunError, ToldElsewhere],
  );
  assert.is(errors[1]!.message, 'the disk is full');
});

ranks('ranks that work for long hear how far all are', async () => {
  const heard = await inWorld(2, async (world) => {
    const rounds: number[][] = [];
    const work = () => new Promise<void>((resolve) => setTimeout(resolve, world.rank * 2.5 * ROUND_MS));
    await together(world, 'work', work, {
      status: () => world.rank,
      onRound: (all) => rounds.push([...all]),
    });
    return rounds;
  });
  assert.equal(heard, [Array(3).fill([0, 1]), Array(3).fill([0, 1])]);
});

ranks('the first rank of a machine goes before the others', async () => {
  const order: number[] = [];
  const values = await inWorld(3, (world) =>
    firstOfMachine(world, 'download', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(world.rank);
      return world.rank;
    }),
  );
  assert.is(order[0], 0);
  assert.equal(values, [0, 1, 2]);
});

ranks('of a process alone an error is its own', async () => {
  const failing = together(ALONE, 'checks', () => {
    throw new InputError('nothing there');
  });
  const error = await failing.catch((caught: Error) => caught);
  assert.instance(error, InputError);
});

ranks.run();
