import type { MemoryPlan } from '../program/plan.js';
import type { Module, Value } from '../program/types.js';

export type HostArray = Float32Array | Uint32Array | Int32Array | Uint16Array;

/** What a replay took. */
export interface RunStats {
  /** From the request to its completion. */
  readonly totalMs: number;
  /** Of that, waiting until the device was free for this session. */
  readonly waitMs: number;
}

/** A replay that was asked for. */
export interface Replay {
  /** Resolves when the device has what it needs: the program's inputs may be written anew, and more be submitted. */
  readonly accepted: Promise<void>;
  /** Resolves when the replay is over, with copies of the values that were asked for, as they were then. */
  readonly done: Promise<{ readonly stats: RunStats; readonly values: readonly HostArray[] }>;
}

/** Time spent in an op since the session began, with the work that was done in it. */
export interface OpProfile {
  readonly op: string;
  readonly calls: number;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

/**
 * A compiled module: storage for its values, and its programs ready to replay. Values are filled and read only
 * between replays of programs that use them. After `close` every call rejects.
 */
export interface Session {
  readonly plan: MemoryPlan;
  /** A value by its full name; throws when the module has none. */
  value(name: string): Value;
  /**
   * Writes elements (in the value's own dtype; 16-bit floats as their bits) from element `offset` on. `data` is copied
   * before the call returns. Rejects unless all of it lies inside of the value.
   */
  write(value: Value, data: HostArray, offset?: number): Promise<void>;
  /**
   * A copy of the value, 16-bit floats as their bits: of `length` elements from element `offset` on (default: all that
   * follow). An activation can be read after the program that computes it, as long as nothing later in the arena took
   * over its storage.
   */
  read(value: Value, offset?: number, length?: number): Promise<HostArray>;
  /**
   * Replays a program and resolves when its outputs can be read. Requests of one session run in order of
   * `priority` (lower first, see PRIORITY), never two at once on one device.
   */
  run(program: string, priority?: number): Promise<RunStats>;
  /** As `run`, for a caller that has the next replay ready before it needs the results of this one. */
  submit(program: string, priority: number, reads: readonly Value[]): Replay;
  /** Where the time went, op by op, over all programs so far. */
  profile(): Promise<OpProfile[]>;
  /**
   * Something that can be posted to one other thread, which joins this session there with `Device.attach`, once, through
   * any device of the same kind.
   */
  handle(): SessionHandle;
  /**
   * Frees the storage after the program that runs; what waits behind it rejects, as all calls do that come later, also
   * those of other threads. Where the session was attached to, only leaves it. May be called again.
   */
  close(): Promise<void>;
}

/** How far a device is with a module: kernels that are made, or products whose fastest variants are known. */
export interface Compiling {
  readonly doing: 'compiling' | 'tuning';
  readonly done: number;
  readonly total: number;
}

export type TellCompiling = (compiling: Compiling) => void;

/** Structured-cloneable; what is inside is the device's own business. Ports in `transfer` must be transferred. */
export interface SessionHandle {
  readonly device: string;
  readonly payload: unknown;
  readonly transfer: readonly unknown[];
}

/** Who goes first when several actors want one device. */
export const PRIORITY = { student: 0, teacher: 1, evaluator: 2 } as const;

export interface DeviceInfo {
  readonly name: 'wasm' | 'webgpu';
  /** What it runs on, for the log: "2 threads, SIMD128 with FMA", or the adapter. */
  readonly description: string;
  /** Kind of its kernels: what those of another kind compute differs by rounding. */
  readonly kernels: string;
  /** Bytes one session may take; a module that plans more is refused before anything is allocated. */
  readonly maxSessionBytes: number;
  /** Bytes all sessions together may take. */
  readonly maxTotalBytes: number;
  /** Tokens of a micro-batch beyond which nothing gets faster, only larger. */
  readonly microBatchTokens: number;
  /** It keeps gradients as halves: a module for training needs loss scaling. */
  readonly lossScaling: boolean;
}

/**
 * One kind of hardware. What is promised here, tests/devices/contract.ts tries on every one. When what computes has died (a
 * thread, a GPU), whatever waits for it rejects, and so does what comes later; closing does not. Everything above this line of the tree is the same for all of them. */
export interface Device {
  readonly info: DeviceInfo;
  /** The storage a module would take here, without taking it. */
  plan(module: Module): MemoryPlan;
  /**
   * Allocates and compiles. Throws an InputError when the plan does not fit. All storage is zero at first.
   * @param tell hears how far it is, where there are kernels to make
   */
  compile(module: Module, tell?: TellCompiling): Promise<Session>;
  attach(module: Module, handle: SessionHandle): Promise<Session>;
  /** Closes the sessions that were compiled or attached to here. A thread closes its device before it is terminated. */
  close(): Promise<void>;
}
