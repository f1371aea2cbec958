import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Builder } from '#src/program/builder.js';
import { add } from '#src/program/ops/add.js';
import { ops } from '#src/program/ops.js';
import { type MemoryPlan, planMemory, type StorageRules } from '#src/program/plan.js';
import { type Call, type Module, type Program, type Value, valueBytes } from '#src/program/types.js';

/** Inputs and outputs of ops with every kind of in-place rule. The planner looks at nothing else of a call. */
const ARITIES = {
  add: [2, 1],
  attention: [4, 2],
  attention_dx: [7, 3],
  linear: [5, 1],
  rmsnorm: [2, 2],
  rmsnorm_dx: [5, 1],
  rope: [3, 1],
  swiglu: [2, 1],
  swiglu_dx: [3, 2],
} as const;

/** A random call: operands are counted back from the newest value, so that values die at all ages. */
const randomCall = fc.record({
  op: fc.constantFrom(...(Object.keys(ARITIES) as (keyof typeof ARITIES)[])),
  operands: fc.array(fc.nat(9), { minLength: 7, maxLength: 7 }),
  sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 3, maxLength: 3 }),
  workspace: fc.constantFrom(0, 0, 4, 12, 40),
});

const randomProgram = fc.record({
  arena: fc.constantFrom('one', 'two'),
  calls: fc.array(randomCall, { minLength: 1, maxLength: 25 }),
});

type RandomProgram = typeof randomProgram extends fc.Arbitrary<infer T> ? T : never;

/** The module, and the working room of each of its calls. */
function build(programs: readonly RandomProgram[]): {
  module: Module;
  workspace: NonNullable<StorageRules['workspaceBytes']>;
} {
  const b = new Builder();
  const rooms = new Map<Call, number>();
  const persistent = b.value('state', 'persistent', [5]);
  programs.forEach(({ arena, calls }, index) => {
    b.program(`program ${index}`, { arena }, () => {
      const values: (Value | null)[] = [persistent, null];
      for (const { op, operands, sizes, workspace } of calls) {
        const [inputCount, outputCount] = ARITIES[op];
        const inputs = operands.slice(0, inputCount).map((age) => values.at(-1 - (age % values.length))!);
        const outputs = sizes.slice(0, outputCount).map((size) => b.activation('y', [size]));
        b.call(op, inputs, outputs);
        rooms.set(b.calls.at(-1)!, workspace);
        values.push(...outputs);
      }
    });
  });
  return { module: b.module(), workspace: (call) => rooms.get(call) ?? 0 };
}

/** When an activation comes to be and is read last, as indices of calls. */
function lifetimes({ calls }: Program): Map<Value, { first: number; last: number }> {
  const spans = new Map<Value, { first: number; last: number }>();
  calls.forEach(({ inputs, outputs }, index) => {
    for (const value of [...inputs, ...outputs]) {
      if (value?.role === 'activation')
        spans.set(value, { first: spans.get(value)?.first ?? index, last: index });
    }
  });
  return spans;
}

/** Whether `output` may overwrite `input` while the call runs. */
function mayTakeOver({ op, inputs, outputs }: Call, input: Value, output: Value): boolean {
  const uses = inputs.filter((value) => value === input).length;
  return (
    uses === 1 && (ops[op]!.inPlace ?? []).some(([i, o]) => inputs[i] === input && outputs[o] === output)
  );
}

/** Every pair of things that need the same bytes at the same time. */
function conflicts(program: Program, plan: MemoryPlan): string[] {
  const found: string[] = [];
  const spans = [...lifetimes(program)].sort(([, a], [, b]) => a.first - b.first);
  spans.forEach(([value, { first, last }], i) => {
    const slot = plan.slotOf.get(value)!;
    for (const [later, span] of spans.slice(i + 1)) {
      if (plan.slotOf.get(later) !== slot || span.first > last) continue;
      const handedOver = span.first === last && first < last;
      if (handedOver && mayTakeOver(program.calls[last]!, value, later)) continue;
      found.push(`${value.name} (${first} to ${last}) and ${later.name} (from ${span.first})`);
    }
    program.calls.slice(first, last + 1).forEach((call, offset) => {
      if (plan.workspaceOf.get(call) === slot)
        found.push(`${value.name} and the room of call ${first + offset}`);
    });
  });
  return found;
}

const modules = fc.array(randomProgram, { minLength: 1, maxLength: 4 }).map(build);

test('no two values that are alive together share storage, but where an op works in place', () =>
  fc.assert(
    fc.property(modules, ({ module, workspace }) => {
      const plan = planMemory(module, { workspaceBytes: workspace });
      for (const program of module.programs) assert.equal(conflicts(program, plan), []);
    }),
    { numRuns: 500, seed: 1 },
  ));

test('everything fits into its slot, and slots of different arenas are distinct', () =>
  fc.assert(
    fc.property(modules, ({ module, workspace }) => {
      const plan = planMemory(module, { workspaceBytes: workspace });
      const arenaOf = new Map<number, string>();
      for (const { arena, calls } of module.programs) {
        const needs = [
          ...calls.flatMap((call) =>
            call.outputs.map((value) => [plan.slotOf.get(value)!, valueBytes(value)]),
          ),
          ...calls.filter(workspace).map((call) => [plan.workspaceOf.get(call)!, workspace(call)]),
        ] as [number, number][];
        for (const [slot, bytes] of needs) {
          assert.ok(plan.slots[slot]!.bytes >= bytes, `slot ${slot} is smaller than ${bytes} bytes`);
          assert.is(arenaOf.get(slot) ?? arena, arena);
          arenaOf.set(slot, arena);
        }
      }
      assert.is(arenaOf.size, plan.slots.length);
    }),
    { numRuns: 300, seed: 2 },
  ));

/** x0 + x0, then each sum + x0, `length` times. */
function chain(b: Builder, arena: string, length: number): void {
  b.program(`${arena} ${length}`, { arena }, () => {
    let x = add(b, b.get('x'), b.get('x'));
    for (let i = 1; i < length; i++) x = add(b, x, b.get('x'));
  });
}

test('a chain of ops that work in place needs one slot, which programs of one arena share', () => {
  const b = new Builder();
  const x = b.value('input', 'x', [10]);
  chain(b, 'one', 20);
  chain(b, 'one', 3);
  const { slots, bytes, persistent } = planMemory(b.module());
  assert.is(slots.length, 1);
  assert.equal(bytes, { persistent: 40, activations: 40 });
  assert.equal(persistent, [x]);
});

test('a chain of ops that do not work in place needs two slots, whatever its length', () => {
  const b = new Builder();
  let x = b.value('input', 'x', [10]);
  b.program('chain', { arena: 'one' }, () => {
    for (let i = 0; i < 20; i++) {
      const y = b.activation('y', [10]);
      b.call('embed', [x], [y]);
      x = y;
    }
  });
  assert.equal(planMemory(b.module()).bytes, { persistent: 40, activations: 80 });
});

test('what nobody reads, and the room of a call, are free again after it', () => {
  const b = new Builder();
  let x = b.value('input', 'x', [10]);
  b.program('chain', { arena: 'one' }, () => {
    for (let i = 0; i < 20; i++) {
      const [y, unread] = [b.activation('y', [10]), b.activation('unread', [10])];
      b.call('rmsnorm', [x, x], [y, unread]);
      x = y;
    }
  });
  // x, y, what is not read and the room.
  assert.equal(planMemory(b.module(), { workspaceBytes: () => 40 }).bytes, {
    persistent: 40,
    activations: 160,
  });
});

test('small values that live long keep no large storage', () => {
  const b = new Builder();
  const x = b.value('input', 'x', [10]);
  b.program('results', { arena: 'one' }, () => {
    const results: Value[] = [];
    for (let i = 0; i < 20; i++) {
      const [large, other, small] = [1000, 1000, 10].map((size) => b.activation('y', [size])) as Value[];
      b.call('embed', [results.at(-1) ?? x], [large!]);
      b.call('embed', [large!], [other!]);
      b.call('embed', [other!], [small!]);
      results.push(small!);
    }
    for (const result of results) b.call('embed', [result], [b.activation('unread', [10])]);
  });
  // After the last large ones their storage serves the last small one, and what is not read.
  assert.is(planMemory(b.module()).bytes.activations, 2 * 4000 + 19 * 40);
});

test('an arena is as large as its largest program, and arenas add up', () => {
  const b = new Builder();
  b.value('input', 'x', [10]);
  chain(b, 'one', 5);
  chain(b, 'two', 5);
  assert.is(planMemory(b.module()).bytes.activations, 80);
});

test.run();
