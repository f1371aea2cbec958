import { InputError } from '../../base/errors.js';
import { ops } from '../../program/ops.js';
import { type MemoryPlan, planMemory } from '../../program/plan.js';
import { type Call, type DType, type Module, type Value, valueBytes } from '../../program/types.js';
import {
  type Dispatch,
  type Lowering,
  type Operands,
  type Region,
  roundUp,
  type Target,
} from './lowering/lowering.js';
import { lowerings } from './lowering.js';
import { storedTypes } from './storage.js';

/** A call as the device runs it. */
export interface KernelCall {
  readonly op: string;
  readonly flops: number;
  readonly bytes: number;
  readonly dispatches: readonly Dispatch[];
}

/** A module placed in buffers: their sizes, where each value lives, and the kernels that run it. No device needed. */
export interface Layout {
  readonly plan: MemoryPlan;
  /** Bytes of each buffer: one per persistent value, then one per slot. */
  readonly storages: readonly number[];
  readonly regionOf: (value: Value) => Region;
  /** The type a value's elements have in storage. */
  readonly typeOf: (value: Value) => DType;
  readonly programs: ReadonlyMap<string, readonly KernelCall[]>;
}

export const planOn = (module: Module, target: Target): MemoryPlan =>
  planStorage(module, target, storedTypes(module, target.precision));

const planStorage = (module: Module, target: Target, typeOf: (value: Value) => DType): MemoryPlan =>
  planMemory(module, {
    workspaceBytes: (call) => loweringOf(call).workspaceBytes?.(call, target) ?? 0,
    typeOf,
  });

/** Throws an InputError that names what is larger than the adapter allows. */
export function layOut(module: Module, target: Target): Layout {
  const typeOf = storedTypes(module, target.precision);
  const plan = planStorage(module, target, typeOf);
  const regions = new Map<Value, Region>();
  const storages: number[] = [];
  const take = (name: string, bytes: number): number => {
    if (bytes > target.bufferBytes) throw tooLarge(name, bytes, target.bufferBytes, 'buffer');
    return storages.push(roundUp(bytes, 4)) - 1;
  };
  const bytesOf = (value: Value): number => valueBytes(value, typeOf(value));
  const place = (value: Value, storage: number): void => {
    regions.set(value, { storage, name: value.name, offset: 0, bytes: roundUp(bytesOf(value), 4) });
  };
  for (const value of plan.persistent) place(value, take(value.name, bytesOf(value)));
  const slots = plan.slots.map(({ bytes }, slot) => take(`activation buffer ${slot}`, bytes));
  for (const [value, slot] of plan.slotOf) place(value, slots[slot]!);
  const regionOf = (value: Value): Region => {
    const region = regions.get(value);
    if (!region) throw new Error(`${value.name} has no storage: no program uses it`);
    return region;
  };
  const workspaceOf = (call: Call): Region => {
    const slot = plan.workspaceOf.get(call) ?? -1;
    return {
      storage: slots[slot] ?? -1,
      name: `workspace of ${call.op}`,
      offset: 0,
      bytes: plan.slots[slot]?.bytes ?? 0,
    };
  };
  const programs = new Map(
    module.programs.map(({ name, calls }) => {
      const lowered = calls.map((call) =>
        lower(call, { target, of: regionOf, typeOf, workspace: workspaceOf(call) }),
      );
      return [name, lowered];
    }),
  );
  return { plan, storages, regionOf, typeOf, programs };
}

function lower(call: Call, at: Operands): KernelCall {
  const { flops, bytes } = ops[call.op]!.cost(call);
  const dispatches = loweringOf(call).lower(call, at);
  for (const { bindings, groups } of dispatches) {
    for (const region of bindings) {
      if (region && region.bytes > at.target.bindingBytes) {
        throw tooLarge(region.name, region.bytes, at.target.bindingBytes, 'binding');
      }
    }
    const [x, y, z = 1] = groups;
    if (Math.max(x, y, z) > at.target.groups) {
      throw new Error(
        `${call.op}: expected at most ${at.target.groups} workgroups a side, found ${groups.join(' x ')}`,
      );
    }
  }
  return { op: call.op, flops, bytes, dispatches };
}

function loweringOf(call: Call): Lowering {
  const lowering = lowerings[call.op];
  if (!lowering) throw new Error(`The webgpu device does not implement ${call.op}`);
  return lowering;
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const tooLarge = (name: string, bytes: number, limit: number, what: string): InputError =>
  new InputError(
    `Expected at most ${mib(limit)} in one ${what} of this adapter, found ${name} of ${mib(bytes)}: ` +
      'use a smaller model, a smaller --micro-batch, or another device',
  );
