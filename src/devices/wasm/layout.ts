import { ops } from '../../program/ops.js';
import { type MemoryPlan, planMemory } from '../../program/plan.js';
import type { Call, Module, Program, Value } from '../../program/types.js';
import { valueBytes } from '../../program/types.js';
import { lowerings } from './lowering.js';
import type { KernelProgram, KernelStep } from './protocol.js';

/** Cache line; also keeps address 0 for "absent". */
const ALIGNMENT = 64;
const PAGE_BYTES = 65_536;
/** Kernels may read, never write, this far behind a value. */
const SLACK_BYTES = 256;
/** About 20 ms of two threads: how long a session keeps the pool before another may have it. */
const SEGMENT_FLOPS = 1.5e9;

const align = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT;

/** A module placed in one linear memory: addresses of everything, and the kernels that run it. */
export interface Layout {
  readonly plan: MemoryPlan;
  readonly addressOf: (value: Value) => number;
  readonly ops: readonly string[];
  readonly programs: readonly KernelProgram[];
  readonly scratch: number;
  readonly scratchStride: number;
  readonly bytes: number;
  readonly pages: number;
}

export function planOn(module: Module): MemoryPlan {
  return planMemory(module, { workspaceBytes: (call) => loweringOf(call).workspaceBytes?.(call) ?? 0 });
}

export function layOut(module: Module, threads: number): Layout {
  const plan = planOn(module);
  const addresses = new Map<Value, number>();
  let end = ALIGNMENT;
  const take = (bytes: number): number => {
    const at = end;
    end = align(end + bytes);
    return at;
  };
  for (const value of plan.persistent) addresses.set(value, take(valueBytes(value)));
  const slots = plan.slots.map((slot) => take(slot.bytes));
  for (const [value, slot] of plan.slotOf) addresses.set(value, slots[slot]!);
  const calls = module.programs.flatMap((program) => program.calls);
  const scratchStride = align(
    Math.max(0, ...calls.map((call) => loweringOf(call).scratchBytes?.(call) ?? 0)),
  );
  const scratch = take(scratchStride * threads);
  const bytes = end + SLACK_BYTES;
  const addressOf = (value: Value): number => {
    const address = addresses.get(value);
    if (address === undefined) throw new Error(`${value.name} has no storage: no program uses it`);
    return address;
  };
  const names = [...new Set(calls.map((call) => call.op))];
  const workspaceOf = (call: Call) => slots[plan.workspaceOf.get(call) ?? -1] ?? 0;
  const programs = module.programs.map((program) => lower(program, names, addressOf, workspaceOf));
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return { plan, addressOf, ops: names, programs, scratch, scratchStride, bytes, pages };
}

function lower(
  program: Program,
  names: readonly string[],
  addressOf: (value: Value) => number,
  workspaceOf: (call: Call) => number,
): KernelProgram {
  const calls: KernelStep[] = [];
  const pauses: number[] = [];
  let flops = 0;
  for (const call of program.calls) {
    const cost = ops[call.op]!.cost(call);
    const kernels = loweringOf(call).lower(call, {
      of: (value) => (value ? addressOf(value) : 0),
      workspace: workspaceOf(call),
    });
    for (const kernel of kernels) {
      const share = { flops: cost.flops / kernels.length, bytes: cost.bytes / kernels.length };
      calls.push({ ...kernel, op: names.indexOf(call.op), ...share });
      flops += share.flops;
      if (flops < SEGMENT_FLOPS) continue;
      pauses.push(calls.length);
      flops = 0;
    }
  }
  if (pauses.at(-1) !== calls.length) pauses.push(calls.length);
  return { calls, pauses };
}

function loweringOf(call: Call) {
  const lowering = lowerings[call.op];
  if (!lowering) throw new Error(`The wasm device does not implement ${call.op}`);
  return lowering;
}
