import type { MessagePort } from 'node:worker_threads';
import type { OpProfile, RunStats } from '../device.js';

/** A program as threads run it. `op` is an index into `ops`, for the profile. */
export interface KernelProgram {
  readonly calls: readonly KernelStep[];
  /** Call indices at which the pool may turn to another session, ascending; the last is calls.length. */
  readonly pauses: readonly number[];
}

/** `tiles` of a kernel's, from `first` on. */
export interface KernelStep {
  readonly kernel: string;
  readonly first: number;
  readonly tiles: number;
  readonly args: readonly number[];
  readonly op: number;
  readonly flops: number;
  readonly bytes: number;
}

/** All a thread needs to run a session's programs. `memory` is shared. */
export interface SessionCode {
  readonly memory: WebAssembly.Memory;
  readonly ops: readonly string[];
  readonly programs: readonly KernelProgram[];
  /** Thread i works in the bytes from scratch + i * scratchStride on. */
  readonly scratch: number;
  readonly scratchStride: number;
}

/** Bytes of a session's memory. */
export interface Range {
  readonly address: number;
  readonly bytes: number;
}

/** Client to leader. `id` pairs a request with its answer. */
export type Request =
  | { readonly type: 'open'; readonly id: number; readonly code: SessionCode }
  | {
      readonly type: 'run';
      readonly id: number;
      readonly session: number;
      readonly program: number;
      readonly priority: number;
      /** What to copy as soon as the program is over. */
      readonly reads: readonly Range[];
    }
  | { readonly type: 'profile'; readonly id: number; readonly session: number }
  | { readonly type: 'close'; readonly id: number; readonly session: number };

/** Leader to client. */
export type Answer =
  | { readonly type: 'opened'; readonly id: number; readonly session: number }
  | {
      readonly type: 'done';
      readonly id: number;
      readonly stats: RunStats;
      readonly copies: readonly ArrayBuffer[];
    }
  | { readonly type: 'profile'; readonly id: number; readonly profile: OpProfile[] }
  | { readonly type: 'closed'; readonly id: number }
  /** `dead`: so will everything else, as threads have died. */
  | { readonly type: 'failed'; readonly id: number; readonly message: string; readonly dead: boolean };

/** To the leader, from the pool's owner and from clients: one more client. */
export type Connect = { readonly type: 'connect'; readonly port: MessagePort };

/** A thread to the pool's owner: that it has started, or what ended its work and that of all others. */
export type ThreadMessage = 'ready' | { readonly failed: string };

/** Leader to followers, read before the next command is obeyed. */
export type FollowerMessage =
  | { readonly type: 'open'; readonly session: number; readonly code: SessionCode }
  | { readonly type: 'close'; readonly session: number };

/** workerData of a compute thread. */
export interface ThreadData {
  readonly index: number;
  readonly threads: number;
  readonly spins: number;
  readonly control: SharedArrayBuffer;
  readonly module: WebAssembly.Module;
  /** Leader: one port per follower. Follower: the port to the leader. */
  readonly ports: readonly MessagePort[];
}
