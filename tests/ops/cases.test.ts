import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ops } from '#src/program/ops.js';
import { planMemory } from '#src/program/plan.js';
import { record } from './harness.js';
import { cases, references } from './index.js';

test('every op has a reference and cases, each under a name of its own that ends in that op', () => {
  const names = Object.keys(ops).sort();
  assert.equal(Object.keys(references).sort(), names);
  assert.equal([...new Set(cases.map(({ op }) => op))].sort(), names);
  assert.is(new Set(cases.map(({ op, label }) => `${op} ${label}`)).size, cases.length);
});

test('a case ends in its op, which works in place where the label says so', () => {
  for (const opCase of cases) {
    const { module } = record(opCase);
    const { op, inputs, outputs } = module.programs[0]!.calls.at(-1)!;
    assert.is(op, opCase.op);
    const { slotOf } = planMemory(module);
    const taken = outputs.filter((output) =>
      inputs.some((x) => x && x !== output && slotOf.get(x) === slotOf.get(output)),
    );
    const inPlace = taken.some((output) => slotOf.has(output));
    assert.is(inPlace, opCase.label.includes('in place'), `${op} ${opCase.label}`);
  }
});

test.run();
