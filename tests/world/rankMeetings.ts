import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import * as assert from 'uvu/assert';
import { channelAt, portOf } from '#src/world/channel.js';
import type { Channel, Parts, World } from '#src/world/world.js';

/** What is used of WebAssembly, whose types belong to browsers. */
interface Assembly {
  instantiate(
    code: Uint8Array,
  ): Promise<{ instance: { exports: Record<string, (place: number) => number> } }>;
}

const floats = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length));
const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
const parts = (counts: readonly number[]): Parts => ({ data: floats(sum(counts)), counts });

/** An element of what rank `from` sends to rank `to`. */
const element = (from: number, to: number, at: number) => 1000 * from + 100 * to + (at % 97) + 0.5;

/** Each rank sends `count(from, to)` elements to each. */
async function exchangeAll(
  { rank, size }: World,
  channel: Channel,
  count: (from: number, to: number) => number,
) {
  const ranks = [...Array(size).keys()];
  const sent = parts(ranks.map((to) => count(rank, to)));
  const received = parts(ranks.map((from) => count(from, rank)));
  let at = 0;
  for (const to of ranks) {
    for (let n = 0; n < count(rank, to); n++) sent.data[at++] = element(rank, to, n);
  }
  await channel.exchange(sent, received, 'parts');
  at = 0;
  for (const from of ranks) {
    for (let n = 0; n < count(from, rank); n++, at++) {
      if (received.data[at] !== element(from, rank, n)) assert.unreachable(`${from} -> ${rank}, ${n}`);
    }
  }
}

async function completeAll({ rank, size }: World, channel: Channel, count: (rank: number) => number) {
  const ranks = [...Array(size).keys()];
  const whole = parts(ranks.map(count));
  const start = sum(whole.counts.slice(0, rank));
  for (let n = 0; n < count(rank); n++) whole.data[start + n] = element(rank, 0, n);
  await channel.complete(whole, 'whole');
  let at = 0;
  for (const from of ranks) {
    for (let n = 0; n < count(from); n++, at++) {
      if (whole.data[at] !== element(from, 0, n)) assert.unreachable(`${from}, ${n}`);
    }
  }
}

const odd = (rank: number) => ({
  rank,
  numbers: [Number.NaN, -0, Number.POSITIVE_INFINITY, 2n ** 70n],
  text: 'a \u{1f600} \u0000 b'.repeat(rank * 300),
  nothing: undefined,
  map: new Map([[rank, new Set([rank])]]),
  array: Float32Array.of(rank, -0, Number.NaN),
  bytes: new Uint8Array(rank * 100_000).fill(rank),
});

/** What ranks do when all goes well. */
export const meetings = {
  async place({ rank, size, localRank, localSize, hosts, library }: World) {
    console.log(JSON.stringify({ rank, size, localRank, localSize, hosts, library }));
  },

  async values({ rank, size, channel }: World) {
    const found = await channel.gather(odd(rank), 'odd values');
    // NaN, -0 and types, too.
    assert.ok(isDeepStrictEqual(found, [...Array(size).keys()].map(odd)));
    // Several at once take their turns.
    const many = await Promise.all([...Array(20).keys()].map((n) => channel.gather([rank, n], 'many')));
    assert.equal(
      many,
      many.map((_, n) => [...Array(size).keys()].map((of) => [of, n])),
    );
    await rejects(
      channel.gather(() => 0, 'a function'),
      /could not be cloned/,
    );
    assert.is((await channel.gather(rank, 'after it')).length, size);
  },

  async parts(world: World) {
    const { channel, size } = world;
    for (const count of [
      () => 0,
      () => 1,
      (from: number, to: number) => from * 3 + to,
      (from: number, to: number) => (to === size - 1 ? 12_345 * from : 0),
      () => 1_000_003,
    ]) {
      await exchangeAll(world, channel, count);
    }
    for (const count of [
      () => 0,
      () => 1,
      (rank: number) => rank * 7,
      (rank: number) => (rank === 0 ? 0 : 2_000_001),
    ]) {
      await completeAll(world, channel, count);
    }
  },

  /** Channels know nothing of each other: ranks meet on them in any order, from several threads. */
  async order(world: World) {
    const { rank } = world;
    const channels = [
      world.channel,
      channelAt(portOf(world, 'student')),
      channelAt(portOf(world, 'evaluator')),
    ];
    const turned = [0, 1, 2].map((n) => channels[(n + rank) % 3]!);
    const all = turned.map(async (channel, n) => {
      await sleep(50 * n);
      const at = channels.indexOf(channel);
      assert.equal(
        await channel.gather([at, rank], `channel ${at}`),
        [...Array(world.size).keys()].map((of) => [at, of]),
      );
      await exchangeAll(world, channel, (from, to) => 10_000 * (at + 1) + from + to);
      await completeAll(world, channel, (of) => 100 * at + of);
    });
    await Promise.all(all);
  },

  /** MPI's libraries have left V8 its handlers: a load out of bounds is an error, as ever. */
  async faultOfWasm() {
    // (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load)
    const code = [
      ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1],
      ...[7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11],
    ];
    const { WebAssembly } = globalThis as unknown as { WebAssembly: Assembly };
    const { instance } = await WebAssembly.instantiate(Uint8Array.from(code));
    const load = instance.exports.f!;
    assert.is(load(0), 0);
    assert.throws(() => load(0x7ffffff0), /memory access out of bounds/);
  },

  async thread(world: World) {
    const port = portOf(world, 'student')!;
    const worker = new Worker(new URL('./rankThread.js', import.meta.url), {
      workerData: { port, rank: world.rank },
      transferList: [port],
    });
    const here = world.channel.gather(world.rank, 'main thread');
    const [there] = await once(worker, 'message');
    assert.equal(there, await here);
    await once(worker, 'exit');
  },
};

/** Fails unless the promise does, with such a message. */
export async function rejects(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (error: Error) => error,
  );
  assert.match(error?.message ?? 'nothing', message);
}
