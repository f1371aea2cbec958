import type { Builder } from '../builder.js';
import { expectShape, type Op } from '../op.js';
import { elementCount, type Value, valueBytes } from '../types.js';

/** y = silu(gate) * up, silu(g) = g / (1 + e^-g); all [.., I] (Shazeer 2020). */
export function swiglu(b: Builder, gate: Value, up: Value): Value {
  expectShape(up, gate.shape, 'swiglu');
  const y = b.activation('swiglu', gate.shape);
  b.call('swiglu', [gate, up], [y]);
  return y;
}

export const swigluOp: Op = {
  name: 'swiglu',
  gradient: ({ inputs: [gate, up], outputs: [y] }, gradients) => {
    const dy = gradients.get(y!);
    if (!dy || !gate || !up) return;
    const b = gradients.builder;
    const dGate = b.activation('d_gate', gate.shape);
    const dUp = b.activation('d_up', up.shape);
    b.call('swiglu_dx', [dy, gate, up], [dGate, dUp]);
    if (gradients.needed(gate)) gradients.add(gate, dGate);
    if (gradients.needed(up)) gradients.add(up, dUp);
  },
  cost: ({ outputs: [y] }) => ({ flops: 5 * elementCount(y!.shape), bytes: 3 * valueBytes(y!) }),
  inPlace: [
    [0, 0],
    [1, 0],
  ],
};

/** d_gate = dy up sigma(gate) (1 + gate (1 - sigma(gate))), d_up = dy silu(gate). */
export const swigluDxOp: Op = {
  name: 'swiglu_dx',
  cost: ({ outputs: [dGate] }) => ({ flops: 12 * elementCount(dGate!.shape), bytes: 5 * valueBytes(dGate!) }),
  inPlace: [
    [1, 0],
    [2, 1],
    [0, 1],
  ],
};
