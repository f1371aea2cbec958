import { InputError } from '../base/errors.js';
import type { World } from './world.js';

/** Another rank has said, in a line, why all ranks end: nothing is left to say here. */
export class ToldElsewhere extends Error {
  override readonly name = 'ToldElsewhere';
  readonly failure: Failure;

  /** @param failure the error of rank `teller` */
  constructor(teller: number, failure: Failure) {
    super(`rank ${teller} failed: ${failure.message}`);
    this.failure = failure;
  }
}

/** An error, as other ranks hear of it. */
export interface Failure {
  readonly name: string;
  readonly message: string;
}

export interface Rounds<S> {
  /** Asks the work of all ranks to stop, which then fails. */
  readonly signal?: AbortSignal | undefined;
  /** How far this rank is; anything that can be cloned to another thread. */
  readonly status?: () => S;
  /** Told how far all are, by rank, once a round. */
  readonly onRound?: (all: readonly S[]) => void;
}

const agreed = new WeakSet<Error>();

/** Whether all ranks know of a failure: none waits for another then, and they may leave together. */
export const isAgreed = (error: unknown): boolean =>
  error instanceof ToldElsewhere || (error instanceof Error && agreed.has(error));

type Outcome<T> = { readonly value: T } | { readonly error: Error };

/** While ranks work they meet this often, so that only one that is stuck keeps the others waiting. */
export const ROUND_MS = 500;

/**
 * Does a rank's part of something that all ranks have to succeed in, and waits for the others, however long they take.
 * Where it fails on any of them, the signal tells all others to stop; once all have ended, that failure is thrown where it
 * was (of several, on the lowest rank), and on all others a `ToldElsewhere`: so it is told once.
 * @param doing what the ranks meet for, see `Channel`
 */
export async function together<T, S = undefined>(
  { rank, channel }: Pick<World, 'rank' | 'channel'>,
  doing: string,
  work: (signal: AbortSignal) => Promise<T> | T,
  { signal, status, onRound }: Rounds<S> = {},
): Promise<T> {
  const stop = new AbortController();
  const stopping = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const own: { outcome?: Outcome<T> } = {};
  const ended = outcomeOf(() => work(stopping)).then((outcome) => {
    own.outcome = outcome;
  });
  let [teller, failure] = [-1, undefined as Failure | undefined];
  for (let isOver = false; !isOver; ) {
    await atMost(ROUND_MS, ended);
    const report = {
      hasEnded: own.outcome !== undefined,
      failure: failureIn(own.outcome),
      isStopped: signal?.aborted === true,
      status: status?.(),
    };
    const all = await channel.gather(report, doing);
    onRound?.(all.map((one) => one.status as S));
    if (teller === -1) {
      teller = all.findIndex((one) => one.failure !== undefined);
      failure = all[teller]?.failure;
    }
    if (failure || all.some(({ isStopped }) => isStopped)) stop.abort();
    isOver = all.every(({ hasEnded }) => hasEnded);
  }
  const outcome = own.outcome!;
  if ('error' in outcome && teller === rank) {
    agreed.add(outcome.error);
    throw outcome.error;
  }
  if (failure || 'error' in outcome) throw new ToldElsewhere(teller, failure!);
  return outcome.value;
}

/** What rank 0 makes, for all ranks: something that can be cloned to another thread. Fails as `together` does. */
export async function fromFirst<T>(
  member: Pick<World, 'rank' | 'channel'>,
  doing: string,
  work: (signal: AbortSignal) => Promise<T> | T,
  signal?: AbortSignal,
): Promise<T> {
  const value = await together(member, doing, (stop) => (member.rank === 0 ? work(stop) : undefined), {
    signal,
  });
  const [first] = await member.channel.gather(value, doing);
  return first as T;
}

/** What each rank does, the first of every machine before the others: what it fetches is there for them. */
export async function firstOfMachine<T>(
  member: Pick<World, 'rank' | 'localRank' | 'channel'>,
  doing: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const isFirst = member.localRank === 0;
  const first = await together(member, doing, (stop) => (isFirst ? work(stop) : undefined), { signal });
  return (await together(member, doing, (stop) => (isFirst ? first : work(stop)), { signal })) as T;
}

/**
 * Sees that all ranks have been given the same.
 * @param facts what has to be the same, by names that a user knows
 * @throws InputError on the first rank that has something else than rank 0, which names it; `ToldElsewhere` on others
 */
export async function agreeOn(
  { rank, hosts, channel }: Pick<World, 'rank' | 'hosts' | 'channel'>,
  doing: string,
  facts: Readonly<Record<string, string>>,
): Promise<void> {
  const [first, ...others] = await channel.gather(facts, doing);
  const differing = others.findIndex((other) => differenceOf(first!, other) !== undefined);
  await together({ rank, channel }, doing, () => {
    if (rank !== differing + 1 || differing === -1) return;
    const name = differenceOf(first!, facts)!;
    throw new InputError(
      `${name}: expected ${first![name]} on all ranks, as on rank 0 (${hosts[0]}), found ${facts[name]} on rank ${rank} ` +
        `(${hosts[rank]}); start all with the same command on the same files`,
    );
  });
}

const differenceOf = (
  first: Readonly<Record<string, string>>,
  other: Readonly<Record<string, string>>,
): string | undefined => Object.keys(first).find((name) => first[name] !== other[name]);

/** Waits for something, but no longer than so many milliseconds. */
export async function atMost(ms: number, event: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([event, time]).finally(() => clearTimeout(timer));
}

const outcomeOf = async <T>(work: () => Promise<T> | T): Promise<Outcome<T>> => {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
};

const failureIn = (outcome: Outcome<unknown> | undefined): Failure | undefined =>
  outcome && 'error' in outcome ? { name: outcome.error.name, message: outcome.error.message } : undefined;
