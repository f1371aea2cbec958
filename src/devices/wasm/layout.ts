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
/**
 * About 20 ms of a thread's work: how long a session keeps the pool before another may have it. A kernel that takes
 * longer is run in parts.
 */
const SEGMENT_FLOPS = 0.75e9;
/** A thread reads a byte in the time of about so many operations. */
const FLOPS_PER_BYTE = 4;

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
  const placing = { names, addressOf, workspaceOf, threads, budget: SEGMENT_FLOPS * threads };
  const programs = module.programs.map((program) => lower(program, placing));
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return { plan, addressOf, ops: names, programs, scratch, scratchStride, bytes, pages };
}

interface Placing {
  readonly names: readonly string[];
  readonly addressOf: (value: Value) => number;
  readonly workspaceOf: (call: Call) => number;
  readonly threads: number;
  /** Operations between two pauses. */
  readonly budget: number;
}

function lower(program: Program, placing: Placing): KernelProgram {
  const calls = program.calls.flatMap((call) => stepsOf(call, placing));
  const pauses: number[] = [];
  let work = 0;
  calls.forEach((step, i) => {
    work += workOf(step);
    if (work < placing.budget && i + 1 < calls.length) return;
    pauses.push(i + 1);
    work = 0;
  });
  return { calls, pauses };
}

function stepsOf(call: Call, placing: Placing): KernelStep[] {
  const { names, addressOf, workspaceOf } = placing;
  const cost = ops[call.op]!.cost(call);
  const kernels = loweringOf(call).lower(call, {
    of: (value) => (value ? addressOf(value) : 0),
    workspace: workspaceOf(call),
  });
  const working = kernels.filter(({ isSmall }) => !isSmall).length;
  const op = names.indexOf(call.op);
  return kernels.flatMap(({ kernel, tiles, args, isSmall }) => {
    const [flops, bytes] = isSmall ? [0, 0] : [cost.flops / working, cost.bytes / working];
    return partsOf({ kernel, first: 0, tiles, args, op, flops, bytes }, placing);
  });
}

const workOf = ({ flops, bytes }: Pick<KernelStep, 'flops' | 'bytes'>): number =>
  flops + FLOPS_PER_BYTE * bytes;

/** The same tiles in steps of as much work as may be done at once, with as many tiles for each thread. */
function partsOf(step: KernelStep, { threads, budget }: Placing): KernelStep[] {
  const rounds = Math.ceil(step.tiles / threads);
  const count = Math.min(Math.ceil(workOf(step) / budget), rounds);
  if (count <= 1) return [step];
  const firstOf = (part: number) => Math.min(step.tiles, threads * Math.floor((part * rounds) / count));
  return Array.from({ length: count }, (_, part) => {
    const [first, next] = [firstOf(part), firstOf(part + 1)];
    const share = (next - first) / step.tiles;
    return { ...step, first, tiles: next - first, flops: step.flops * share, bytes: step.bytes * share };
  });
}

function loweringOf(call: Call) {
  const lowering = lowerings[call.op];
  if (!lowering) throw new Error(`The wasm device does not implement ${call.op}`);
  return lowering;
}
