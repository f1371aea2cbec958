import type { Handle } from './library.js';
import type { Mpi, Request } from './mpi.js';

/** What a rank tells of itself: that it is there, where it has come to, or that it sends no more. */
export interface Beat {
  readonly rank: number;
  /** A meeting it has come to: the channel's number, the meeting's from 1, what it is for. */
  readonly came?: readonly [channel: number, meeting: number, doing: string];
  readonly isLast?: true;
}

const BYTES = 512;
/** As JSON, a character takes 6 bytes at most. */
const LONGEST_DOING = 70;
/** A rank that hears nothing, as one that is stopped, is not sent any more. */
const MOST_UNHEARD = 16;

/** Small messages to rank 0, of rank 0 to rank 1: next to meetings and never waited for. */
export class Beats {
  readonly #mpi: Mpi;
  readonly #comm: Handle;
  readonly #rank: number;
  readonly #isAlone: boolean;
  readonly #hear: (beat: Beat) => void;
  readonly #bytes = new Uint8Array(BYTES);
  #speakers: number;
  #receiving: Request | undefined;
  #sending: Request[] = [];

  constructor(mpi: Mpi, comm: Handle, rank: number, size: number, hear: (beat: Beat) => void) {
    this.#mpi = mpi;
    this.#comm = comm;
    this.#rank = rank;
    this.#hear = hear;
    this.#isAlone = size === 1;
    this.#speakers = rank === 0 ? size - 1 : rank === 1 ? 1 : 0;
    this.#receive();
  }

  get isOver(): boolean {
    return this.#sending.length === 0 && this.#speakers === 0;
  }

  send(beat: Omit<Beat, 'rank'>): void {
    if (this.#isAlone || (this.#sending.length >= MOST_UNHEARD && !beat.isLast)) return;
    const came = beat.came && [...beat.came.slice(0, 2), beat.came[2].slice(0, LONGEST_DOING)];
    const bytes = new Uint8Array(BYTES);
    new TextEncoder().encodeInto(JSON.stringify({ ...beat, rank: this.#rank, came }), bytes);
    this.#sending.push(this.#mpi.send(bytes, this.#rank === 0 ? 1 : 0, this.#comm));
  }

  /** Hears what has come. */
  look(): void {
    this.#sending = this.#sending.filter((request) => !this.#mpi.isDone(request));
    while (this.#receiving && this.#mpi.isDone(this.#receiving)) {
      const beat = JSON.parse(
        new TextDecoder().decode(this.#bytes.subarray(0, this.#bytes.indexOf(0))),
      ) as Beat;
      if (beat.isLast) this.#speakers -= 1;
      this.#hear(beat);
      this.#receive();
    }
  }

  #receive(): void {
    this.#receiving = this.#speakers > 0 ? this.#mpi.receive(this.#bytes, this.#comm) : undefined;
  }
}
