import { readFileSync } from 'node:fs';
import { runRanks } from '#src/cli/ranks.js';
import { openDevice } from '#src/devices/openDevice.js';
import { loraShapes, parameterCount, targetModules } from '#src/model/lora.js';
import { Builder } from '#src/program/builder.js';
import { exchangedBytes, GradientExchange } from '#src/training/gradientExchange.js';
import type { Channel, World } from '#src/world/world.js';
import { fill, percentiles, type Timing } from './measure.js';
import { configOf, SHAPES, type ShapeName } from './shapes.js';

/**
 * One of the ranks that bench/exchange.ts starts: `exchangeRank.js WHAT`, as JSON. They exchange gradients of an adapter in
 * memory, as after a batch; rank 0 prints what came of it.
 */

export interface Exchanged {
  readonly model: ShapeName;
  readonly adapter_rank: number;
  /** Of a batch: as many for each rank, a power of two, or `send` would be called for more parts than one. */
  readonly microBatches: number;
  /** Network device whose counters tell what was sent; absent: nothing of the kind. */
  readonly counter?: string;
}

/** An exchange: of the rank that took longest, median over the exchanges that were timed. */
export interface ExchangeResult extends Omit<Exchanged, 'counter'>, Timing {
  readonly ranks: number;
  readonly hosts: number;
  readonly library: string;
  readonly elements: number;
  /** Bytes of gradients that all ranks send to others, by exchangedBytes. */
  readonly sent_bytes: number;
  /** Of them, those that go to another host, or past the counters of a single one. */
  readonly crossing_bytes: number;
  /** Bytes that left by the network device; absent without one. */
  readonly wire_bytes?: number;
  /** Seconds of copies between device and buffers and of additions; of MPI, which waits for others. */
  readonly host_seconds: number;
  readonly mpi_seconds: number;
}

const WARM_UP = 1;
const LEAST_SAMPLES = 5;
const MOST_SAMPLES = 41;
const ENOUGH_SECONDS = 3;

const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

/** A channel that counts the time in which a call of it is under way. */
class TimedChannel implements Channel {
  readonly #channel: Channel;
  #open = 0;
  #since = 0;
  ms = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  gather<T>(...args: Parameters<Channel['gather']>) {
    return this.#timed(this.#channel.gather(...args)) as Promise<readonly T[]>;
  }

  exchange(...args: Parameters<Channel['exchange']>) {
    return this.#timed(this.#channel.exchange(...args));
  }

  complete(...args: Parameters<Channel['complete']>) {
    return this.#timed(this.#channel.complete(...args));
  }

  async #timed<T>(call: Promise<T>): Promise<T> {
    if (this.#open++ === 0) this.#since = performance.now();
    try {
      return await call;
    } finally {
      if (--this.#open === 0) this.ms += performance.now() - this.#since;
    }
  }
}

/** Gradients of an adapter on a device, and nothing else. */
async function openGradients({ model, adapter_rank: rank }: Exchanged) {
  const lora = { rank, alpha: rank, rsLora: false, dropout: 0, targetModules: targetModules(['all-linear']) };
  const shapes = loraShapes(configOf(SHAPES[model].student), lora);
  const b = new Builder();
  const gradients = new Map([...shapes].map(([name, shape]) => [name, b.value('gradient', name, shape)]));
  const device = await openDevice('wasm', { threads: 1 });
  return { device, gradients, session: await device.compile(b.module()), elements: parameterCount(shapes) };
}

/** Bytes that have left by a network device, as `ip -s link` tells them. */
function sentBy(name: string): number {
  const line = readFileSync('/proc/self/net/dev', 'utf8')
    .split('\n')
    .find((text) => text.trim().startsWith(`${name}:`));
  if (line === undefined) throw new Error(`Expected a network device ${name}, found none`);
  return Number(line.split(':')[1]!.trim().split(/\s+/)[8]);
}

/** Of a rank, or of the slowest one: an exchange, and what of it was in MPI. */
interface Sample {
  readonly ms: number;
  readonly mpiMs: number;
}

/** Exchanges until there are enough. @returns the slowest rank's, and the mean of what `sent` has grown by */
async function timeExchanges(
  world: World,
  channel: TimedChannel,
  exchange: GradientExchange,
  sent: () => number,
) {
  const samples: Sample[] = [];
  let wire = 0;
  const isEnough = () =>
    samples.length >= MOST_SAMPLES ||
    (samples.length >= LEAST_SAMPLES && samples.reduce((sum, { ms }) => sum + ms, 0) > 1000 * ENOUGH_SECONDS);
  // All see the same samples, and end together.
  for (let step = 1; !isEnough(); step++) {
    await world.channel.gather(null, 'the next exchange');
    const [mpiBefore, sentBefore] = [channel.ms, sent()];
    const ms = await milliseconds(async () => {
      await exchange.send(step);
      exchange.endRounds(step);
      await exchange.finish(step);
    });
    const all = await world.channel.gather<Sample>({ ms, mpiMs: channel.ms - mpiBefore }, 'times');
    if (step <= WARM_UP) continue;
    wire += sent() - sentBefore;
    samples.push(all.reduce((slowest, other) => (other.ms > slowest.ms ? other : slowest)));
  }
  return { samples, wire: wire / samples.length };
}

async function measure(world: World, asked: Exchanged): Promise<ExchangeResult> {
  const { rank, size, hosts } = world;
  const { counter, ...facts } = asked;
  const { device, session, gradients, elements } = await openGradients(asked);
  const channel = new TimedChannel(world.channel);
  const sharing = { place: { rank, size }, microBatches: asked.microBatches };
  const exchange = new GradientExchange(session, gradients, channel, sharing);
  for (const value of gradients.values()) await fill(session, value);
  const sentNow = () => (counter ? sentBy(counter) : 0);
  const { samples, wire } = await timeExchanges(world, channel, exchange, sentNow);
  await session.close();
  await device.close();
  const { sent } = exchangedBytes(sharing, elements);
  const all = await world.channel.gather({ sent, wire }, 'bytes of an exchange');
  const seconds = (of: (sample: Sample) => number) => percentiles(samples.map((sample) => of(sample) / 1000));
  return {
    ...facts,
    ...{ ranks: size, hosts: new Set(hosts).size, library: world.library!, elements },
    sent_bytes: all.reduce((sum, other) => sum + other.sent, 0),
    crossing_bytes: all.reduce((sum, other, i) => sum + other.sent * crossingShare(hosts, i), 0),
    ...(counter && { wire_bytes: wireBytes(hosts, all) }),
    ...seconds(({ ms }) => ms),
    host_seconds: seconds(({ ms, mpiMs }) => ms - mpiMs).seconds_p50,
    mpi_seconds: seconds(({ mpiMs }) => mpiMs).seconds_p50,
  };
}

/** Of what a rank sends, as much to each other one, the share that goes to other hosts; on a single host all goes past. */
function crossingShare(hosts: readonly string[], rank: number): number {
  const others = hosts.filter((host) => host !== hosts[rank]).length;
  return others === 0 ? 1 : others / (hosts.length - 1);
}

/** Ranks of one host see the same counters. */
const wireBytes = (hosts: readonly string[], all: readonly { readonly wire: number }[]): number =>
  [...new Set(hosts)].reduce((sum, host) => sum + all[hosts.indexOf(host)]!.wire, 0);

await runRanks(async (world) => {
  const result = await measure(world, JSON.parse(process.argv[2]!) as Exchanged);
  if (world.rank > 0) return undefined;
  return () => process.stdout.write(`${JSON.stringify(result)}\n`);
});
