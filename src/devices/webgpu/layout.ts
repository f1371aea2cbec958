import { InputError } from '../../errors.js';
import { ops } from '../../program/ops/index.js';
import { type MemoryPlan, planMemory } from '../../program/plan.js';
import { type Call, type Module, type Value, valueBytes } from '../../program/types.js';
import { lowerings } from './lowering/index.js';
import {
  type Dispatch,
  type Limits,
  type Lowering,
  type Operands,
  type Region,
  roundUp,
} from './lowering/lowering.js';

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
  readonly programs: ReadonlyMap<string, readonly KernelCall[]>;
}

export function planOn(module: Module, limits: Limits): MemoryPlan {
  return planMemory(module, (call) => loweringOf(call).workspaceBytes?.(call, limits) ?? 0);
}

/** Throws an InputError that names what is larger than the adapter allows. */
export function layOut(module: Module, limits: Limits): Layout {
  const plan = planOn(module, limits);
  const regions = new Map<Value, Region>();
  const storages: number[] = [];
  const take = (name: string, bytes: number): number => {
    if (bytes > limits.bufferBytes) throw tooLarge(name, bytes, limits.bufferBytes, 'buffer');
    return storages.push(roundUp(bytes, 4)) - 1;
  };
  const place = (value: Value, storage: number): void => {
    regions.set(value, { storage, name: value.name, offset: 0, bytes: roundUp(valueBytes(value), 4) });
  };
  for (const value of plan.persistent) place(value, take(value.name, valueBytes(value)));
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
        lower(call, { limits, of: regionOf, workspace: workspaceOf(call) }),
      );
      return [name, lowered];
    }),
  );
  return { plan, storages, regionOf, programs };
}

function lower(call: Call, at: Operands): KernelCall {
  const { flops, bytes } = ops[call.op]!.cost(call);
  const dispatches = loweringOf(call).lower(call, at);
  for (const { bindings, groups } of dispatches) {
    for (const region of bindings) {
      if (region && region.bytes > at.limits.bindingBytes) {
        throw tooLarge(region.name, region.bytes, at.limits.bindingBytes, 'binding');
      }
    }
    if (Math.max(...groups) > at.limits.groups) {
      throw new Error(
        `${call.op}: expected at most ${at.limits.groups} workgroups a side, found ${groups.join(' x ')}`,
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
