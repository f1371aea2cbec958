import { ops } from './ops.js';
import { type Call, type DType, type Module, type Value, valueBytes } from './types.js';

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

/**
 * Assigns storage by liveness: the largest needs first, each to the smallest slot that is free all the while (greedy by
 * size for shared objects, Pisarchyk & Lee 2020). Decided in the order of the calls instead, small values that live long
 * end up in large slots: 2.5 times as much for the recomputed blocks of Llama-3.2-1B.
 */
export function planMemory(module: Module, rules: StorageRules = {}): MemoryPlan {
  const needs = new Needs(rules);
  const persistent = module.values.filter((value) => value.role !== 'activation');
  const slots: Slot[] = [];
  const slotOf = new Map<Value, number>();
  const workspaceOf = new Map<Call, number>();
  for (const arena of new Set(module.programs.map((program) => program.arena))) {
    const calls = module.programs.filter((program) => program.arena === arena).flatMap(({ calls }) => calls);
    for (const tenants of shareSlots(claimsOf(calls, needs))) {
      const slot = slots.push({ bytes: tenants[0]!.bytes }) - 1;
      for (const { values, room } of tenants) {
        for (const value of values) slotOf.set(value, slot);
        if (room) workspaceOf.set(room, slot);
      }
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

/** Storage that is needed from one call to another, by number: by values that take it over in turn, or as room. */
interface Claim {
  readonly bytes: number;
  readonly first: number;
  last: number;
  readonly values: Value[];
  readonly room?: Call;
}

/** What the calls of an arena need, program after program. */
function claimsOf(calls: readonly Call[], needs: Needs): Claim[] {
  const lastUse = lastUses(calls);
  const claims: Claim[] = [];
  const claimOf = new Map<Value, Claim>();
  calls.forEach((call, index) => {
    for (const output of call.outputs) {
      if (output.role !== 'activation' || claimOf.has(output)) continue;
      const dying = (value: Value) => lastUse.get(value) === index;
      let claim = inherited(call, output, claimOf, dying, needs);
      if (!claim) {
        claim = { bytes: needs.bytes(output), first: index, last: index, values: [] };
        claims.push(claim);
      }
      claim.values.push(output);
      claim.last = Math.max(claim.last, lastUse.get(output)!);
      claimOf.set(output, claim);
    }
    const bytes = needs.workspaceBytes(call);
    if (bytes > 0) claims.push({ bytes, first: index, last: index, values: [], room: call });
  });
  return claims;
}

/** The storage of an input that ends with the call, if the op lets `output` take it over. */
function inherited(
  call: Call,
  output: Value,
  claimOf: ReadonlyMap<Value, Claim>,
  dying: (value: Value) => boolean,
  needs: Needs,
): Claim | undefined {
  const taken = new Set(call.outputs.map((other) => claimOf.get(other)));
  for (const [i, o] of ops[call.op]!.inPlace ?? []) {
    const input = call.inputs[i];
    if (call.outputs[o] !== output || input?.role !== 'activation' || !dying(input)) continue;
    const claim = claimOf.get(input);
    const usedTwice = call.inputs.filter((other) => other === input).length > 1;
    if (claim && !usedTwice && !taken.has(claim) && needs.canReplace(input, output)) return claim;
  }
  return undefined;
}

/** Groups claims that are never alive together, the largest of a group first. */
function shareSlots(claims: readonly Claim[]): Claim[][] {
  const slots: Claim[][] = [];
  for (const claim of [...claims].sort((a, b) => b.bytes - a.bytes)) {
    const apart = (other: Claim) => other.last < claim.first || claim.last < other.first;
    // Slots come in descending order: the last one that is free is the smallest.
    const slot = slots.findLast((tenants) => tenants.every(apart));
    if (slot) slot.push(claim);
    else slots.push([claim]);
  }
  return slots;
}

/** For each value, the number of the last call that reads or writes it. */
function lastUses(calls: readonly Call[]): Map<Value, number> {
  const last = new Map<Value, number>();
  calls.forEach((call, index) => {
    for (const value of [...call.inputs, ...call.outputs]) if (value) last.set(value, index);
  });
  return last;
}
