/** How long others are waited for. */
export interface Patience {
  /** Until it is said who is waited for. */
  readonly sayAfterMs: number;
  /** Until the world ends. */
  readonly endAfterMs: number;
}

/** What there is to say: of whom it waits for, or why it ends. */
export type Word = { readonly waiting: string } | { readonly ending: string };

/** Each rank is heard of this often, whatever it does. */
export const BEAT_MS = 1000;
const SILENT_MS = 4 * BEAT_MS;
/** Ranks that know of none but themselves leave the first word to those who know more. */
const DEFER_MS = 2 * SILENT_MS;
const MOST_NAMED = 8;

interface Place {
  readonly rank: number;
  readonly hosts: readonly string[];
}

interface Open {
  /** The latest meeting that a rank has come to, from 1; how many this rank has behind it. */
  latest: number;
  done: number;
  doing: string;
  /** When the first one came, by this watch's clock. */
  since: number;
  /** The meeting of which it was said who is missing. */
  told: number;
}

/**
 * Sees who keeps others waiting. Rank 0 hears of all ranks, rank 1 of rank 0 and speaks when that one is silent;
 * the others know of none and only end, somewhat later.
 */
export class Watch {
  readonly #place: Place;
  #patience: Patience;
  readonly #heard: number[];
  readonly #came: number[][];
  readonly #channels: Open[];
  #clock = 0;
  #last: number;

  constructor(place: Place, channels: number, patience: Patience, now: number) {
    this.#place = place;
    this.#patience = patience;
    this.#last = now;
    this.#heard = place.hosts.map(() => 0);
    this.#came = place.hosts.map(() => Array(channels).fill(0));
    this.#channels = Array.from({ length: channels }, () => ({
      ...{ latest: 0, done: 0, doing: '', since: 0, told: 0 },
    }));
  }

  /** Changes how long others are waited for. */
  endAfter(ms: number): void {
    this.#patience = { ...this.#patience, endAfterMs: ms };
  }

  heard(rank: number): void {
    this.#heard[rank] = this.#clock;
  }

  came(rank: number, channel: number, meeting: number, doing: string): void {
    this.heard(rank);
    this.#came[rank]![channel] = meeting;
    const open = this.#channels[channel]!;
    if (meeting > open.latest) Object.assign(open, { latest: meeting, doing, since: this.#clock });
  }

  /** This rank has a meeting behind it. */
  done(channel: number): void {
    this.#channels[channel]!.done += 1;
  }

  /** What there is to say by now. */
  look(now: number): Word[] {
    // A process that was stopped for an hour has not waited for an hour.
    this.#clock += Math.min(now - this.#last, BEAT_MS);
    this.#last = now;
    return this.#channels.flatMap((open, channel) => this.#lookAt(open, channel) ?? []);
  }

  #lookAt(open: Open, channel: number): Word | undefined {
    const waited = this.#clock - open.since;
    if (open.told > 0 && open.done >= open.told) {
      open.told = 0;
      return { waiting: `going on after ${seconds(waited)}: ${open.doing}` };
    }
    if (open.latest <= open.done) return undefined;
    const { sayAfterMs, endAfterMs } = this.#patience;
    if (this.#knows()) {
      if (waited >= endAfterMs) return { ending: this.#ending(open, channel, waited) };
      if (waited < sayAfterMs || open.told === open.latest) return undefined;
      open.told = open.latest;
      return { waiting: `waiting for ${this.#whom(channel, open.latest)}: ${open.doing}` };
    }
    if (waited < endAfterMs + DEFER_MS) return undefined;
    return {
      ending: `expected all ranks within ${seconds(endAfterMs)}, found ranks 0 and 1 silent: ${open.doing}`,
    };
  }

  /** Whether this rank is the one to speak. */
  #knows(): boolean {
    return this.#place.rank === 0 || (this.#place.rank === 1 && this.#isSilent(0));
  }

  #isSilent(rank: number): boolean {
    return rank !== this.#place.rank && this.#clock - this.#heard[rank]! > SILENT_MS;
  }

  #ending({ latest, doing }: Open, channel: number, waited: number): string {
    const whom = this.#whom(channel, latest);
    return `expected ${whom} within ${seconds(waited)}, found nothing: ${doing}; --resume goes on from the last checkpoint`;
  }

  #whom(channel: number, meeting: number): string {
    const observed = this.#place.rank === 0 ? [...this.#heard.keys()] : [0];
    const silent = observed.filter((rank) => this.#isSilent(rank));
    if (silent.length > 0) {
      const since = Math.min(...silent.map((rank) => this.#heard[rank]!));
      return `${this.#named(silent)}, silent for ${seconds(this.#clock - since)}`;
    }
    const late = observed.filter((rank) => this.#came[rank]![channel]! < meeting);
    return late.length > 0 ? this.#named(late) : 'data of ranks that have all come';
  }

  #named(ranks: readonly number[]): string {
    const named = ranks.slice(0, MOST_NAMED).map((rank) => `${rank} (host ${this.#place.hosts[rank]})`);
    const more = ranks.length > MOST_NAMED ? ` and ${ranks.length - MOST_NAMED} more` : '';
    return `${ranks.length > 1 ? 'ranks' : 'rank'} ${named.join(', ')}${more}`;
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
