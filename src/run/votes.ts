import type { StepOrders } from '../messages.js';
import type { World } from '../world/world.js';

/** What the first rank, which decides, says to all after each step and at the end. */
export interface Word {
  readonly step: number;
  readonly orders?: StepOrders | undefined;
  /** The run has ended, amid a step where it was stopped. */
  readonly isOver?: boolean | undefined;
}

/** What each of the others says of itself. */
interface Vote {
  /** It was asked to stop. */
  readonly stop: boolean;
}

/**
 * How ranks do the same at the same step: the first one decides and tells the others, who tell it whether they were asked
 * to stop. The others come to each meeting as soon as the one before is over, so that the first one's word reaches
 * them amid a step, too, and so that it waits for nobody.
 */
export class Votes {
  readonly #world: World;
  #stop = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether another rank was asked to stop. */
  get shouldStop(): boolean {
    return this.#stop;
  }

  /** Of the first rank. */
  async tell(word: Word): Promise<void> {
    const [, ...votes] = await this.#world.channel.gather<Word | Vote>(
      word,
      `step ${word.step}: what is next`,
    );
    this.#stop ||= votes.some((vote) => (vote as Vote).stop);
  }

  /** Of the others: the next word of the first rank. */
  async hear(vote: Vote): Promise<Word> {
    const [word] = await this.#world.channel.gather<Word | Vote>(vote, undefined);
    return word as Word;
  }
}
