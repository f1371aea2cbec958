import { ops } from './ops/index.js';
import { type Call, type DType, type Module, type Program, type Value, valueBytes } from './types.js';

/** Storage that activations take turns in. */
export interface Slot {
  bytes: number;
}

/** Where everything lives. Slots of different arenas are distinct. */
export interface MemoryPlan {
  /** Values with storage of their own, in declaration order. */
  readonly persistent: readonly Value[];
  readonly slots: readonly Slot[];
  /** Index into `slots` for each activation. */
  readonly slotOf: ReadonlyMap<Value, number>;
  /** Index into `slots` of the room a call works in, where the device asked for some. */
  readonly workspaceOf: ReadonlyMap<Call, number>;
  readonly bytes: { readonly persistent: number; readonly activations: number };
}

/** What a device needs to keep: by default, values as they are, and nothing else. */
export interface StorageRules {
  /** Bytes of working room while it runs a call. */
  readonly workspaceBytes?: (call: Call) => number;
  /** The type it stores a value's elements in. */
  readonly typeOf?: (value: Value) => DType;
}

/** Assigns storage by liveness. */
export function planMemory(module: Module, rules: StorageRules = {}): MemoryPlan {
  const needs = new Needs(rules);
  const persistent = module.values.filter((value) => value.role !== 'activation');
  const slots: Slot[] = [];
  const slotOf = new Map<Value, number>();
  const workspaceOf = new Map<Call, number>();
  for (const arena of new Set(module.programs.map((program) => program.arena))) {
    const own: number[] = [];
    for (const program of module.programs) {
      if (program.arena === arena) new Assignment(slots, own, slotOf, workspaceOf, needs).assign(program);
    }
  }
  const sum = (sizes: number[]) => sizes.reduce((a, b) => a + b, 0);
  return {
    persistent,
    slots,
    slotOf,
    workspaceOf,
    bytes: {
      persistent: sum(persistent.map((value) => needs.bytes(value))),
      activations: sum(slots.map((slot) => slot.bytes)),
    },
  };
}

class Needs {
  readonly workspaceBytes: (call: Call) => number;
  readonly #typeOf: (value: Value) => DType;

  constructor({ workspaceBytes = () => 0, typeOf = ({ dtype }) => dtype }: StorageRules) {
    this.workspaceBytes = workspaceBytes;
    this.#typeOf = typeOf;
  }

  bytes(value: Value): number {
    return valueBytes(value, this.#typeOf(value));
  }

  /** Whether elements of `output` can replace those of `input` one by one. */
  canReplace(input: Value, output: Value): boolean {
    return this.#typeOf(input) === this.#typeOf(output) && this.bytes(input) >= this.bytes(output);
  }
}

/** The assignment of one program to the slots of its arena, all of which are free when it starts. */
class Assignment {
  readonly #slots: Slot[];
  readonly #own: number[];
  readonly #slotOf: Map<Value, number>;
  readonly #workspaceOf: Map<Call, number>;
  readonly #free: Set<number>;
  readonly #needs: Needs;

  constructor(
    slots: Slot[],
    own: number[],
    slotOf: Map<Value, number>,
    workspaceOf: Map<Call, number>,
    needs: Needs,
  ) {
    this.#slots = slots;
    this.#own = own;
    this.#slotOf = slotOf;
    this.#workspaceOf = workspaceOf;
    this.#free = new Set(own);
    this.#needs = needs;
  }

  assign(program: Program): void {
    const lastUse = lastUses(program);
    program.calls.forEach((call, index) => {
      const dying = (value: Value) => lastUse.get(value) === index;
      for (const output of call.outputs) {
        if (output.role === 'activation' && !this.#slotOf.has(output)) this.#place(call, output, dying);
      }
      const room = this.#needs.workspaceBytes(call);
      if (room > 0) {
        const slot = this.#take(room);
        this.#workspaceOf.set(call, slot);
        this.#free.add(slot);
      }
      for (const value of new Set([...call.inputs, ...call.outputs])) {
        if (value?.role !== 'activation' || !dying(value)) continue;
        const slot = this.#slotOf.get(value)!;
        const inherited = call.outputs.some((o) => o !== value && this.#slotOf.get(o) === slot && !dying(o));
        if (!inherited) this.#free.add(slot);
      }
    });
  }

  /** Gives `output` the storage of an input that ends here, where the op allows it, else a free slot. */
  #place(call: Call, output: Value, dying: (value: Value) => boolean): void {
    const taken = new Set(call.outputs.map((o) => this.#slotOf.get(o)));
    for (const [i, o] of ops[call.op]!.inPlace ?? []) {
      const input = call.inputs[i];
      if (call.outputs[o] !== output || input?.role !== 'activation' || !dying(input)) continue;
      const slot = this.#slotOf.get(input)!;
      const usedTwice = call.inputs.filter((other) => other === input).length > 1;
      if (!usedTwice && !taken.has(slot) && this.#needs.canReplace(input, output)) {
        this.#slotOf.set(output, slot);
        return;
      }
    }
    this.#slotOf.set(output, this.#take(this.#needs.bytes(output)));
  }

  /** The smallest free slot that fits, else the largest free one, grown, else a new one. */
  #take(bytes: number): number {
    const free = [...this.#free].sort((a, b) => this.#slots[a]!.bytes - this.#slots[b]!.bytes);
    const fitting = free.find((slot) => this.#slots[slot]!.bytes >= bytes) ?? free.at(-1);
    const slot = fitting ?? this.#slots.push({ bytes: 0 }) - 1;
    if (fitting === undefined) this.#own.push(slot);
    this.#slots[slot]!.bytes = Math.max(this.#slots[slot]!.bytes, bytes);
    this.#free.delete(slot);
    return slot;
  }
}

/** For each value, the index of the last call that reads or writes it. */
function lastUses(program: Program): Map<Value, number> {
  const last = new Map<Value, number>();
  program.calls.forEach((call, index) => {
    for (const value of [...call.inputs, ...call.outputs]) if (value) last.set(value, index);
  });
  return last;
}
