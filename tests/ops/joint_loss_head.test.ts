import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Builder } from '#src/program/builder.js';
import { addGradients } from '#src/program/gradients.js';
import { type JointLossOptions, jointLossHead } from '#src/program/ops/joint_loss_head.js';
import { linear } from '#src/program/ops/linear.js';
import { elementCount, type Role, type Value } from '#src/program/types.js';
import { Interpreter } from '../program/interpreter.js';
import { Random } from './cases.js';
import { centralDifferences, relativeError } from './differences.js';

const [TOKENS, VOCABULARY, WIDTH, TEACHER_WIDTH] = [4, 11, 5, 3];
const LABELS = [10, -100, 0, 3];
const LOSS_SCALE = 512;

/** A loss on random inputs: its values, what the host writes into them, and the gradients of the parameters. */
class Loss {
  readonly b = new Builder();
  readonly data = new Map<Value, Float64Array>();
  gradients = new Map<Value, Value>();
  readonly #random = new Random(5);

  value(role: Role, name: string, shape: readonly number[], make: (i: number) => number): Value {
    const value = this.b.value(role, name, shape);
    const data = Float64Array.from({ length: elementCount(shape) }, (_, i) => make(i));
    this.data.set(value, data);
    return value;
  }

  normal(role: Role, name: string, shape: readonly number[]): Value {
    return this.value(role, name, shape, () => this.#random.normal());
  }

  /** The hidden states are parameters, or what `through` makes of them and of the head. */
  record(
    options: JointLossOptions,
    teacherVocabulary: number,
    through?: (b: Builder, hidden: Value, head: Value) => Value,
  ): this {
    const states = this.normal('parameter', 'hidden', [TOKENS, WIDTH]);
    const head = this.normal('parameter', 'head', [VOCABULARY, WIDTH]);
    const teacherHidden = this.normal('input', 'teacher_hidden', [TOKENS, TEACHER_WIDTH]);
    const teacherHead = this.normal('weight', 'teacher_head', [teacherVocabulary, TEACHER_WIDTH]);
    const labels = this.value('input', 'labels', [TOKENS], (t) => LABELS[t]!);
    const lossScale = this.value('scalar', 'loss_scale', [1], () => LOSS_SCALE);
    this.b.program('step', { arena: 'step' }, () => {
      const hidden = through ? through(this.b, states, head) : states;
      jointLossHead(this.b, { hidden, head, teacherHidden, teacherHead, labels, lossScale }, options);
      this.gradients = addGradients(this.b);
    });
    return this;
  }

  /** Holds every gradient to central differences of the loss scale times the sum of alpha kl + (1 - alpha) ce. */
  check(alpha: number): void {
    const module = this.b.module();
    const interpreter = new Interpreter(module);
    for (const [value, content] of this.data) interpreter.write(value, content);
    const loss = () => {
      interpreter.run('step');
      const [ce, kl] = ['ce', 'kl'].map((name) => interpreter.read(this.b.get(name)));
      return LOSS_SCALE * ce!.reduce((sum, value, t) => sum + alpha * kl![t]! + (1 - alpha) * value, 0);
    };
    loss();
    const analytic = [...this.gradients].map(([value, g]) => [value, interpreter.read(g)] as const);
    assert.is(analytic.length, 2);
    for (const [value, gradient] of analytic) {
      const error = relativeError(gradient, centralDifferences(loss, this.data.get(value)!));
      assert.ok(error < 1e-6, `d_${value.name} is off by ${error} of its size`);
    }
  }
}

const trained = { gradient: true, headGradient: true } as const;

for (const choice of [
  { divergence: 'forward-kl' },
  { divergence: 'reverse-kl' },
  { divergence: 'jsd', beta: 0.1 },
  { divergence: 'jsd' },
  { divergence: 'jsd', beta: 0.9 },
] as const) {
  const name = Object.values(choice).join(' ');
  for (const [alpha, temperature, teacherVocabulary] of [
    [1, 1, VOCABULARY],
    [0.3, 2, 7],
    [0.5, 0.5, 16],
  ] as const) {
    test(`${name}, temperature ${temperature}: gradients of states and head match finite differences`, () => {
      new Loss().record({ alpha, temperature, ...choice, ...trained }, teacherVocabulary).check(alpha);
    });
  }
}

test('a tied head gets the gradient of both of its uses', () => {
  const lookUp = (b: Builder, hidden: Value, head: Value) => {
    const mixed = b.value('weight', 'mixed', [WIDTH, VOCABULARY]);
    loss.data.set(
      mixed,
      Float64Array.from({ length: WIDTH * VOCABULARY }, (_, i) => Math.cos(i)),
    );
    const once = linear(b, 'once', [{ x: hidden, weight: head, scale: 0.3 }]);
    return linear(b, 'twice', [{ x: once, weight: mixed }]);
  };
  const loss = new Loss();
  loss.record({ alpha: 0.4, temperature: 2, divergence: 'jsd', ...trained }, VOCABULARY, lookUp).check(0.4);
});

test('what cannot be right is refused', () => {
  const options = { alpha: 0.5, temperature: 1, gradient: true };
  for (const beta of [0, 1, Number.NaN]) {
    assert.throws(
      () => new Loss().record({ ...options, divergence: 'jsd', beta }, VOCABULARY),
      (error: Error) => error.message === `joint_loss_head: expected 0 < beta < 1, found ${beta}`,
    );
  }
  assert.throws(
    () => new Loss().record(options, VOCABULARY),
    (error: Error) => error.message.includes('head is trained; expected headGradient'),
  );
  assert.throws(
    () => new Loss().record({ ...options, argMax: true }, VOCABULARY),
    (error: Error) => error.message === 'joint_loss_head: expected gradient or argMax, found both',
  );
});

test.run();
