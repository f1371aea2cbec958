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

/** Failures that all ranks know of. */
const shared = new WeakSet<Error>();

/** Whether all ranks fail with it, each by itself: nobody has to be ended. */
export const isShared = (error: unknown): boolean =>
  error instanceof ToldElsewhere || (error instanceof Error && shared.has(error));

type Outcome<T> = { readonly value: T } | { readonly error: Error };

/**
 * Does a rank's part of something that all ranks have to succeed in, such as looking at what they were given, and waits
 * for the others. Where it fails on any of them, the failure of the lowest such rank is thrown there, and on all others a
 * `ToldElsewhere`: so it is told once.
 * @param doing what the ranks meet for, see `Channel`
 */
export async function together<T>(
  { rank, channel }: Pick<World, 'rank' | 'channel'>,
  doing: string,
  work: () => Promise<T> | T,
): Promise<T> {
  const own = await outcomeOf(work);
  const failures = await channel.gather('error' in own ? failureOf(own.error) : undefined, doing);
  throwFailure(rank, own, failures);
  return (own as { readonly value: T }).value;
}

/** What rank 0 makes, for all ranks: it must be something that can be sent to another thread. Fails as `together` does. */
export async function fromFirst<T>(
  { rank, channel }: Pick<World, 'rank' | 'channel'>,
  doing: string,
  work: () => Promise<T> | T,
): Promise<T> {
  const value = await together({ rank, channel }, doing, () => (rank === 0 ? work() : undefined));
  const [first] = await channel.gather(value, doing);
  return first as T;
}

const outcomeOf = async <T>(work: () => Promise<T> | T): Promise<Outcome<T>> => {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
};

const failureOf = ({ name, message }: Error): Failure => ({ name, message });

/** @throws where any rank has failed */
function throwFailure(rank: number, own: Outcome<unknown>, failures: readonly (Failure | undefined)[]): void {
  const teller = failures.findIndex((failure) => failure !== undefined);
  if (teller === rank && 'error' in own) {
    shared.add(own.error);
    throw own.error;
  }
  if (teller !== -1) throw new ToldElsewhere(teller, failures[teller]!);
}
