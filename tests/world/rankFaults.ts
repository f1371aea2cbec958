import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { World } from '#src/world/world.js';
import { rejects } from './rankMeetings.js';

const FOREVER_MS = 300_000;

const last = ({ rank, size }: World) => rank === size - 1;
const floats = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length));

/** For a test that looks whether any process is left. */
const tellPid = () => console.log(`pid ${process.pid}`);

async function fallAsleep(world: World): Promise<void> {
  tellPid();
  await world.channel.gather(0, 'all are here');
}

/** What ranks do when one of them fails. */
export const faults = {
  async killed(world: World) {
    await fallAsleep(world);
    if (last(world)) process.kill(process.pid, 'SIGKILL');
    await world.channel.gather(0, 'step 12: gradients');
  },

  async exits(world: World) {
    await fallAsleep(world);
    if (last(world)) {
      process.stderr.write('error: the disk is full\n');
      process.exit(3);
    }
    await world.channel.gather(0, 'step 12: gradients');
  },

  async aborts(world: World) {
    await fallAsleep(world);
    if (last(world)) {
      process.stderr.write('error: the disk is full\n');
      world.abort(1);
    }
    await world.channel.gather(0, 'step 12: gradients');
  },

  /** Until its launcher is killed. */
  async waits(world: World) {
    await fallAsleep(world);
    console.log('ready');
    await sleep(FOREVER_MS);
  },

  async waitsInMeeting(world: World) {
    await fallAsleep(world);
    console.log('ready');
    if (last(world)) await sleep(FOREVER_MS);
    await world.channel.gather(0, 'step 12: gradients');
  },

  /** The last rank comes late, alive all the time. */
  async late(world: World) {
    if (last(world)) await sleep(3500);
    await world.channel.gather(0, 'step 12: gradients');
    await world.channel.gather(0, 'step 13: gradients');
  },

  async firstIsLate(world: World) {
    if (world.rank === 0) await sleep(3500);
    await world.channel.gather(0, 'step 12: gradients');
  },

  /** A rank stops as a whole, in the middle of waiting. */
  async lastStops(world: World) {
    await fallAsleep(world);
    if (last(world)) process.kill(process.pid, 'SIGSTOP');
    await world.channel.gather(0, 'step 12: gradients');
  },

  async firstStops(world: World) {
    await fallAsleep(world);
    if (world.rank === 0) process.kill(process.pid, 'SIGSTOP');
    await world.channel.gather(0, 'step 12: gradients');
  },

  async waitingCosts({ channel, rank }: World) {
    await channel.gather(0, 'all are here');
    const before = process.cpuUsage();
    if (rank !== 0) await sleep(4000);
    await channel.gather(0, 'late');
    const { user, system } = process.cpuUsage(before);
    if (rank === 0) console.log(`share ${(user + system) / 4e6}`);
  },

  /** Ranks that have come for different things are told so. */
  async methodsDiffer({ channel, rank, size }: World) {
    const counts = Array(size).fill(1);
    const whole = { data: floats(size), counts };
    const meeting = rank === 0 ? channel.gather(0, 'step 3') : channel.complete(whole, 'step 3');
    const found =
      rank === 0
        ? /^step 3: expected all ranks to gather, found that rank 1 would complete$/
        : /^step 3: expected all ranks to complete, found that rank 0 would gather$/;
    await rejects(meeting, found);
    assert.is((await channel.gather(rank, 'after it')).length, size);
  },

  async countsDiffer({ channel, rank, size }: World) {
    const counts = Array(size).fill(rank === 0 ? 2 : 3);
    const meeting = channel.complete({ data: floats(3 * size), counts }, 'step 3');
    await rejects(meeting, /^step 3: expected \d elements of rank \d, found \d$/);
    const tooFew = { data: floats(1), counts };
    await rejects(
      channel.complete(tooFew, 'step 3'),
      /^step 3: expected \d elements for all parts, found 1$/,
    );
    const tooMany = { data: floats(1), counts: [...counts, 0] };
    await rejects(
      channel.complete(tooMany, 'step 3'),
      /^step 3: expected a part for each of \d ranks, found \d$/,
    );
    assert.is((await channel.gather(rank, 'after it')).length, size);
  },
};
