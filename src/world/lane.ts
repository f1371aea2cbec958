import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Answer, Call } from './channel.js';
import { type Floor, type Meeting, meet } from './meetings.js';
import type { Request } from './mpi.js';

interface Current {
  readonly id: number;
  readonly meeting: Meeting;
  readonly request: Request;
  /** Whether all ranks have come, so that data move. */
  readonly isMoving: boolean;
}

/** Of a meeting: what for, where others are waited for. */
interface Beginning {
  readonly doing: string | undefined;
}

/** The calls of one channel, one after the other. */
export class Lane {
  readonly #port: MessagePort;
  readonly #floor: Floor;
  readonly #calls: Call[] = [];
  #current: Current | undefined;

  constructor(port: MessagePort, floor: Floor) {
    this.#port = port;
    this.#floor = floor;
  }

  get isOpen(): boolean {
    return this.#current !== undefined;
  }

  get isMoving(): boolean {
    return this.#current?.isMoving === true;
  }

  /** Takes calls from the port. */
  listen(): void {
    for (let found = receiveMessageOnPort(this.#port); found; found = receiveMessageOnPort(this.#port)) {
      this.#calls.push(found.message);
    }
  }

  /**
   * Begins, or goes on with, what can.
   * @returns what happened: words for a meeting that began, whether one ended
   */
  look(): { readonly began?: Beginning; readonly ended: boolean; readonly moved: boolean } {
    const current = this.#current;
    if (current) {
      if (!this.#floor.mpi.isDone(current.request)) return { ended: false, moved: false };
      this.#go(current.id, current.meeting, true);
      return { ended: this.#current === undefined, moved: true };
    }
    const call = this.#calls.shift();
    if (!call) return { ended: false, moved: false };
    this.#go(call.id, meet(this.#floor, call.method, call.args), false);
    const ended = this.#current === undefined;
    return { began: { doing: call.args.at(-1) as string | undefined }, ended, moved: true };
  }

  #go(id: number, meeting: Meeting, isMoving: boolean): void {
    try {
      const { done, value } = meeting.next();
      this.#current = done ? undefined : { id, meeting, request: value, isMoving };
      if (done) this.#answer({ id, value });
    } catch (error) {
      this.#current = undefined;
      this.#answer({ id, failed: (error as Error).message });
    }
  }

  #answer(answer: Answer): void {
    this.#port.postMessage(answer);
  }
}
