import { collectGarbageAfter } from '../../base/collectGarbage.js';
import type { OpProfile } from '../device.js';
import type { Command, Control } from './control.js';
import type { KernelStep, SessionCode } from './protocol.js';

type Kernel = (tile: number, scratch: number, ...args: number[]) => void;

interface OpenSession {
  readonly code: SessionCode;
  readonly kernels: Readonly<Record<string, Kernel>>;
  readonly profile: { calls: number; ms: number; flops: number; bytes: number }[];
}

/** What each thread does with a command: its share of the tiles of every kernel call, in lock-step. */
export class Runner {
  readonly #control: Control;
  readonly #module: WebAssembly.Module;
  readonly #thread: number;
  readonly #sessions = new Map<number, OpenSession>();

  constructor(control: Control, module: WebAssembly.Module, thread: number) {
    this.#control = control;
    this.#module = module;
    this.#thread = thread;
  }

  open(session: number, code: SessionCode): void {
    const abort = () => {
      throw new Error('a kernel aborted');
    };
    const instance = new WebAssembly.Instance(this.#module, { env: { memory: code.memory, abort } });
    const kernels = instance.exports as unknown as Record<string, Kernel>;
    for (const { calls } of code.programs) for (const call of calls) expectCallable(kernels, call);
    const profile = code.ops.map(() => ({ calls: 0, ms: 0, flops: 0, bytes: 0 }));
    this.#sessions.set(session, { code, kernels, profile });
  }

  close(session: number): void {
    const closed = this.#sessions.get(session);
    this.#sessions.delete(session);
    if (closed) collectGarbageAfter(closed.code.memory.buffer.byteLength);
  }

  session(id: number): OpenSession {
    const session = this.#sessions.get(id);
    if (!session) throw new Error('the session is closed');
    return session;
  }

  run({ session: id, program, from, to }: Command): void {
    const { code, kernels, profile } = this.session(id);
    const { calls } = code.programs[program]!;
    const scratch = code.scratch + this.#thread * code.scratchStride;
    let before = performance.now();
    for (let index = from; index < to; index++) {
      const { kernel, first, tiles, args, op, flops, bytes } = calls[index]!;
      const run = kernels[kernel]!;
      for (let tile = this.#control.nextTile(index); tile < tiles; tile = this.#control.nextTile(index)) {
        run(first + tile, scratch, ...args);
      }
      this.#control.barrier(index);
      const now = performance.now();
      const total = profile[op]!;
      if (first === 0) total.calls++;
      total.ms += now - before;
      total.flops += flops;
      total.bytes += bytes;
      before = now;
    }
  }

  profile(id: number): OpProfile[] {
    const { code, profile } = this.session(id);
    return code.ops.map((op, i) => ({ op, ...profile[i]! }));
  }
}

/** WebAssembly takes 0 for what is left out and drops what is too much, without a word. */
function expectCallable(kernels: OpenSession['kernels'], { kernel, args }: KernelStep): void {
  const run = kernels[kernel];
  if (!run) throw new Error(`the kernel module has no ${kernel}`);
  const [expected, found] = [run.length, args.length + 2];
  if (found !== expected) {
    throw new Error(`kernel ${kernel}: expected ${expected} arguments with tile and scratch, found ${found}`);
  }
}
