import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Builder } from '#src/program/builder.js';
import { add } from '#src/program/ops/add.js';
import { jointLossHead } from '#src/program/ops/joint_loss_head.js';
import { linear } from '#src/program/ops/linear.js';
import { rmsnorm } from '#src/program/ops/rmsnorm.js';

/** uvu compares no string with a message: it wants a function or an expression. */
const saying = (message: string) => (error: Error) => error.message.includes(message);

test('values are found by their scoped names, which are unique', () => {
  const b = new Builder();
  const x = b.value('input', 'x', [2, 3]);
  b.program('p', { arena: 'a', scope: 'teacher.' }, () => {
    b.value('input', 'x', [2, 3]);
    assert.throws(() => b.value('input', 'x', [2, 3]), saying('Value teacher.x is declared twice'));
    assert.is.not(add(b, x, b.get('teacher.x')).name, add(b, x, x).name);
  });
  assert.is(b.get('x'), x);
  assert.ok(b.has('teacher.x'));
  assert.throws(() => b.get('y'), saying('Expected a value named y'));
});

test('a module holds its programs with their calls in order', () => {
  const b = new Builder();
  const x = b.value('input', 'x', [2]);
  b.program('first', { arena: 'a' }, () => add(b, add(b, x, x), x));
  b.program('second', { arena: 'b' }, () => {});
  const { values, programs } = b.module();
  assert.equal(
    programs.map(({ name, arena, calls }) => [name, arena, calls.map((call) => call.op)]),
    [
      ['first', 'a', ['add', 'add']],
      ['second', 'b', []],
    ],
  );
  assert.is(programs[0]!.calls[1]!.inputs[0], programs[0]!.calls[0]!.outputs[0]);
  assert.equal(
    values.map((value) => value.id),
    [0, 1, 2],
  );
});

test('a program knows its segments, and gives calls back to be recorded anew', () => {
  const b = new Builder();
  const x = b.value('input', 'x', [2]);
  b.program('p', { arena: 'a' }, () => {
    const y = b.segment(() => add(b, add(b, x, x), x));
    b.segment(() => add(b, y, x));
    const [first, second, third] = b.calls;
    assert.equal(b.segments, [[first, second], [third]]);
    assert.is(first!.inputs[0], x);
    assert.equal(b.takeBack(1), [second, third]);
    assert.equal(b.calls, [first]);
  });
  b.program('next', { arena: 'a' }, () => assert.equal(b.segments, []));
});

test('shapes that cannot be are refused with both shapes, calls outside of a program too', () => {
  const b = new Builder();
  assert.throws(
    () => b.value('input', 'empty', [3, 0]),
    saying('Value empty has the impossible shape [3, 0]'),
  );
  const x = b.value('input', 'x', [4, 3]);
  const weight = b.value('weight', 'weight', [5, 2]);
  const labels = b.value('input', 'labels', [4], 'i32');
  assert.throws(() => add(b, x, x), saying('Op add was called outside of a program'));
  b.program('p', { arena: 'a' }, () => {
    assert.throws(() => add(b, x, weight), saying('add: expected weight of shape [4,3], found [5,2]'));
    assert.throws(
      () => linear(b, 'y', [{ x, weight }]),
      saying('linear: expected weight of shape [5,3], found [5,2]'),
    );
    const bias = b.value('weight', 'bias', [4]);
    const square = b.value('weight', 'square', [5, 3]);
    assert.throws(
      () => linear(b, 'y', [{ x, weight: square }], null, bias),
      saying('linear: expected bias of shape [5], found [4]'),
    );
    assert.throws(
      () => rmsnorm(b, 'y', x, b.value('weight', 'two', [2]), 1e-5),
      saying('rmsnorm y: expected a weight whose length divides the columns of x, found [2] for 3 columns'),
    );
    const inputs = { hidden: x, head: weight, labels };
    const options = { alpha: 0.5, temperature: 1, gradient: true };
    assert.throws(
      () => jointLossHead(b, inputs, options),
      saying('expected weight of shape [5,3], found [5,2]'),
    );
    assert.throws(
      () => b.program('inner', { arena: 'a' }, () => {}),
      saying('Program inner was begun inside another'),
    );
  });
});

test.run();
