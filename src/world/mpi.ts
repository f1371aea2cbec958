import { RunError } from '../base/errors.js';
import type { Abi, Handle, Library } from './library.js';

/** A call of MPI that goes on by itself. What it reads and writes is kept until it is done. */
export interface Request {
  readonly handle: BigInt64Array | Int32Array;
  readonly kept: readonly unknown[];
}

/** A part of an array for each rank: elements, and where each part begins. */
export interface Layout {
  readonly counts: Int32Array;
  readonly starts: Int32Array;
}

const BUFFER = 'void *';
/** More than any MPI_Status takes. */
const STATUS_BYTES = 64;
/** Of names and errors: no library's are longer. */
const LONGEST_TEXT = 8192;

/**
 * The few functions of MPI that are needed, all called from one thread. Each throws a RunError when MPI reports a failure.
 */
export class Mpi {
  readonly abi: Abi;
  readonly #library: Library;
  readonly #functions = new Map<string, (...args: unknown[]) => number>();
  readonly #flag = new Int32Array(1);
  readonly #status = new Uint8Array(STATUS_BYTES);

  constructor(library: Library) {
    this.#library = library;
    this.abi = library.abi;
  }

  /** MPI_Init_thread. */
  start(): void {
    this.#call(
      'MPI_Init_thread',
      [BUFFER, BUFFER, 'int', BUFFER],
      [null, null, this.abi.funneled, new Int32Array(1)],
    );
    const { world, errorsReturn, handle } = this.abi;
    this.#call('MPI_Comm_set_errhandler', [handle, handle], [world, errorsReturn]);
  }

  rank(comm: Handle): number {
    return this.#number('MPI_Comm_rank', comm);
  }

  size(comm: Handle): number {
    return this.#number('MPI_Comm_size', comm);
  }

  /** The ranks of `comm` again, whose messages are apart from its own. */
  duplicate(comm: Handle): Handle {
    const made = this.#room();
    this.#call('MPI_Comm_dup', [this.abi.handle, BUFFER], [comm, made]);
    return made[0]!;
  }

  /** Those ranks of `comm` that share this one's memory. */
  sharing(comm: Handle): Handle {
    const made = this.#room();
    const { handle, shared, infoNull } = this.abi;
    this.#call(
      'MPI_Comm_split_type',
      [handle, 'int', 'int', handle, BUFFER],
      [comm, shared, 0, infoNull, made],
    );
    return made[0]!;
  }

  processorName(): string {
    return this.#text('MPI_Get_processor_name', [], []);
  }

  /** MPI_Ialltoall of bytes: as many for each rank. */
  allToAll(sent: Uint8Array, received: Uint8Array, each: number, comm: Handle): Request {
    const { byte, handle } = this.abi;
    const types = [BUFFER, 'int', handle, BUFFER, 'int', handle, handle];
    return this.#begin('MPI_Ialltoall', types, [sent, each, byte, received, each, byte, comm]);
  }

  /** MPI_Iallgatherv of bytes, each rank's own being in its place already. */
  allGatherBytes(whole: Uint8Array, layout: Layout, comm: Handle): Request {
    return this.#allGather(whole, layout, this.abi.byte, comm);
  }

  allGatherFloats(whole: Float32Array, layout: Layout, comm: Handle): Request {
    return this.#allGather(whole, layout, this.abi.float, comm);
  }

  /** MPI_Ialltoallv. */
  allToAllFloats(
    sent: Float32Array,
    from: Layout,
    received: Float32Array,
    to: Layout,
    comm: Handle,
  ): Request {
    const { float, handle } = this.abi;
    const part = [BUFFER, BUFFER, BUFFER, handle];
    return this.#begin(
      'MPI_Ialltoallv',
      [...part, ...part, handle],
      [sent, from.counts, from.starts, float, received, to.counts, to.starts, float, comm],
    );
  }

  send(bytes: Uint8Array, to: number, comm: Handle): Request {
    const { byte, handle } = this.abi;
    const types = [BUFFER, 'int', handle, 'int', 'int', handle];
    return this.#begin('MPI_Isend', types, [bytes, bytes.length, byte, to, 0, comm]);
  }

  /** From any rank. */
  receive(bytes: Uint8Array, comm: Handle): Request {
    const { byte, handle, anySource } = this.abi;
    const types = [BUFFER, 'int', handle, 'int', 'int', handle];
    return this.#begin('MPI_Irecv', types, [bytes, bytes.length, byte, anySource, 0, comm]);
  }

  /** Whether it is done by now. All that is under way goes on meanwhile, in whatever request. */
  isDone({ handle }: Request): boolean {
    this.#call('MPI_Test', [BUFFER, BUFFER, BUFFER], [handle, this.#flag, this.#status]);
    return this.#flag[0] !== 0;
  }

  /** MPI_Finalize: returns when all ranks have called it. */
  end(): void {
    this.#call('MPI_Finalize', [], []);
  }

  /** Ends the processes of all ranks; this one, too. */
  abort(code: number): void {
    this.#call('MPI_Abort', [this.abi.handle, 'int'], [this.abi.world, code]);
  }

  #allGather(
    whole: Uint8Array | Float32Array,
    { counts, starts }: Layout,
    type: Handle,
    comm: Handle,
  ): Request {
    const { handle, inPlace } = this.abi;
    const types = [BUFFER, 'int', handle, BUFFER, BUFFER, BUFFER, handle, handle];
    return this.#begin('MPI_Iallgatherv', types, [inPlace, 0, type, whole, counts, starts, type, comm]);
  }

  #begin(name: string, types: readonly string[], args: readonly unknown[]): Request {
    const request = { handle: this.#room(), kept: args };
    this.#call(name, [...types, BUFFER], [...args, request.handle]);
    return request;
  }

  #room(): BigInt64Array | Int32Array {
    return this.abi.handle === 'int' ? new Int32Array(1) : new BigInt64Array(1);
  }

  #number(name: string, comm: Handle): number {
    const found = new Int32Array(1);
    this.#call(name, [this.abi.handle, BUFFER], [comm, found]);
    return found[0]!;
  }

  #text(name: string, types: readonly string[], args: readonly unknown[]): string {
    const text = Buffer.alloc(LONGEST_TEXT);
    const length = new Int32Array(1);
    this.#call(name, [...types, BUFFER, BUFFER], [...args, text, length]);
    return text.toString('utf8', 0, length[0]);
  }

  #call(name: string, types: readonly string[], args: readonly unknown[]): void {
    let found = this.#functions.get(name);
    if (!found) {
      found = this.#library.handle.func(name, 'int', [...types]) as (...args: unknown[]) => number;
      this.#functions.set(name, found);
    }
    const code = found(...args);
    if (code !== 0) throw new RunError(`${name}: ${this.#text('MPI_Error_string', ['int'], [code])}`);
  }
}
