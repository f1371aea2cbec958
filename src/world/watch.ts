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
  /** Of which it was said who is missing. */
  told: Told | undefined;
}

interface Told {
  readonly meeting: number;
  readonly doing: string;
  readonly since: number;
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
      ...{ latest: 0, done: 0, doing: '', since: 0, told: undefined },
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

  /**
   * This rank has a meeting behind it.
   * @returns what there is to say, where others were waited for
   */
  done(channel: number): string | undefined {
    const open = this.#channels[channel]!;
    open.done += 1;
    const { told } = open;
    if (!told || open.done < told.meeting) return undefined;
    open.told = undefined;
    return `going on after ${seconds(this.#clock - told.since)}: ${told.doing}`;
  }

  /** What there is to say by now. */
  look(now: number): Word[] {
    // A process that was stopped for an hour has not waited for an hour.
    this.#clock += Math.min(now - this.#last, BEAT_MS);
    this.#last = now;
    const silence = this.#silence();
    if (silence) return [silence];
    return this.#channels.flatMap((open, channel) => this.#lookAt(open, channel) ?? []);
  }

  /** A rank that can't be reached is given up also where nobody waits for it by name. */
  #silence(): Word | undefined {
    const { endAfterMs } = this.#patience;
    const lost = this.#observed().filter((rank) => this.#clock - this.#heard[rank]! >= endAfterMs);
    if (lost.length === 0) return undefined;
    return { ending: this.#ending('between steps', this.#named(lost)) };
  }

  /** The other ranks that this one hears of. */
  #observed(): number[] {
    const { rank } = this.#place;
    if (rank > 1) return [];
    return [...this.#heard.keys()].filter((other) => other !== rank && (rank === 0 || other === 0));
  }

  #lookAt(open: Open, channel: number): Word | undefined {
    if (open.latest <= open.done) return undefined;
    const { latest, doing, since } = open;
    const waited = this.#clock - since;
    const { sayAfterMs, endAfterMs } = this.#patience;
    const isEnd = waited >= endAfterMs + (this.#knows() ? 0 : DEFER_MS);
    if (isEnd)
      return { ending: this.#ending(doing, this.#knows() ? this.#whom(channel, latest) : 'rank 0 or 1') };
    if (!this.#knows() || waited < sayAfterMs || open.told?.meeting === latest) return undefined;
    open.told = { meeting: latest, doing, since };
    return { waiting: `waiting for ${this.#whom(channel, latest)}: ${doing}` };
  }

  #ending(doing: string, missing: string): string {
    const limit = seconds(this.#patience.endAfterMs);
    return `${doing}: expected all ranks within ${limit}, found no ${missing}; a training run goes on with --resume`;
  }

  /** Whether this rank is the one to speak. */
  #knows(): boolean {
    return this.#place.rank === 0 || (this.#place.rank === 1 && this.#isSilent(0));
  }

  #isSilent(rank: number): boolean {
    return rank !== this.#place.rank && this.#clock - this.#heard[rank]! > SILENT_MS;
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
