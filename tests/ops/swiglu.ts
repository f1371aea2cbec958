import type { Builder } from '#src/program/builder.js';
import { swiglu as gateUp } from '#src/program/ops/swiglu.js';
import type { Value } from '#src/program/types.js';
import {
  activations,
  floats,
  type OpTable,
  opCase,
  type Random,
  type Reference,
  type Tensor,
  zerosLike,
} from './cases.js';

const tolerance = { absolute: 2e-6, relative: 2e-6, reason: 'one f32 exponential, then a few products' };

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const forward: Reference = ({ inputs }) => {
  const [gate, up] = inputs as [Tensor, Tensor];
  return [gate.data.map((g, i) => g * sigmoid(g) * up.data[i]!)];
};

const backward: Reference = ({ inputs }) => {
  const [dy, gate, up] = inputs as [Tensor, Tensor, Tensor];
  const [dGate, dUp] = [zerosLike(gate), zerosLike(up)];
  gate.data.forEach((g, i) => {
    const s = sigmoid(g);
    dGate[i] = dy.data[i]! * up.data[i]! * s * (1 + g * (1 - s));
    dUp[i] = dy.data[i]! * g * s;
  });
  return [dGate, dUp];
};

/** What swiglu's gradient rule records. */
function dx(b: Builder, dy: Value, gate: Value, up: Value): Value[] {
  const outputs = [b.activation('d_gate', gate.shape), b.activation('d_up', up.shape)];
  b.call('swiglu_dx', [dy, gate, up], outputs);
  return outputs;
}

/** Gates from -`range` to `range`: past about 88 an f32 exponential overflows or vanishes. */
const inputs = (shape: readonly number[], range: number) => (random: Random) => ({
  dy: activations(random, shape),
  gate: floats('input', shape, () => random.uniform(-range, range)),
  up: activations(random, shape),
});

function forwardCase(shape: readonly number[], range: number, dying: '' | 'gate' | 'up' | 'both' = '') {
  return opCase({
    op: 'swiglu',
    label: `${shape.join(' x ')}, |gate| to ${range}${dying && `, ${dying} in place`}`,
    inputs: inputs(shape, range),
    build: (b, { dy, gate, up }) => {
      const early = () => gateUp(b, dy, up);
      gateUp(
        b,
        dying === 'gate' || dying === 'both' ? early() : gate,
        dying === 'up' || dying === 'both' ? early() : up,
      );
    },
    tolerance,
  });
}

function backwardCase(
  shape: readonly number[],
  range: number,
  dying: '' | 'dy' | 'gate and up' | 'all' = '',
) {
  return opCase({
    op: 'swiglu_dx',
    label: `${shape.join(' x ')}, |gate| to ${range}${dying && `, ${dying} in place`}`,
    inputs: inputs(shape, range),
    build: (b, { dy, gate, up }) => {
      const early = dying ? dx(b, dy, gate, up) : [];
      const earlyDy = dying === 'all' ? dx(b, dy, up, gate)[0]! : dy;
      if (dying === 'dy') dx(b, early[0]!, gate, up);
      else if (dying) dx(b, earlyDy, early[0]!, early[1]!);
      else dx(b, dy, gate, up);
    },
    tolerance,
  });
}

export const swiglu: OpTable = {
  references: { swiglu: forward, swiglu_dx: backward },
  cases: [
    forwardCase([1, 1], 3),
    forwardCase([3, 1], 3),
    forwardCase([5, 3], 10),
    forwardCase([7, 43], 120),
    forwardCase([13, 172], 5, 'gate'),
    forwardCase([6, 600], 5, 'up'),
    forwardCase([2, 3, 43], 5, 'both'),
    forwardCase([300, 288], 5),
    backwardCase([1, 1], 3),
    backwardCase([5, 3], 10),
    backwardCase([7, 43], 120),
    backwardCase([13, 172], 5, 'dy'),
    backwardCase([6, 600], 5, 'gate and up'),
    backwardCase([2, 3, 43], 5, 'all'),
    backwardCase([300, 288], 5),
  ],
};
