/**
 * The main thread stands still while another one loads MPI and calls MPI_Init. UCX, which MPI may use, then moves the end of
 * the process's heap up and back to see whether it would be told; what the main thread's malloc had taken meanwhile is lost.
 */

const [SHUT, OPEN, PASSED] = [0, 1, 2];

export const newGate = (): Int32Array => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Does `work` once the main thread stands still, and lets it go on. */
export function passGate<T>(gate: Int32Array, work: () => T): T {
  Atomics.wait(gate, 0, SHUT);
  try {
    return work();
  } finally {
    set(gate, PASSED);
  }
}

/** Stands still until the gate is passed. */
export function holdGate(gate: Int32Array): void {
  set(gate, OPEN);
  Atomics.wait(gate, 0, OPEN);
}

function set(gate: Int32Array, state: number): void {
  Atomics.store(gate, 0, state);
  Atomics.notify(gate, 0);
}
