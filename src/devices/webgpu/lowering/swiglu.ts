import { elementCount } from '../../../program/types.js';
import { elementGrid } from './grid.js';
import { floatType, type Lowering, OPERAND, operand } from './lowering.js';

export const swigluLowering: Lowering = {
  lower: ({ inputs: [gate, up], outputs: [y] }, at) => {
    const size = elementCount(y!.shape);
    const out = at.of(y!);
    const [g, u] = [operand(at.of(gate!), out), operand(at.of(up!), out)];
    return [
      {
        file: 'swiglu',
        entry: 'swiglu',
        types: { G: floatType(gate, at), U: floatType(up, at), Y: floatType(y, at) },
        constants: {},
        shape: [size, g.code, u.code, OPERAND.none],
        bindings: [g.binding, u.binding, out],
        groups: elementGrid(size, at),
      },
    ];
  },
};

export const swigluDxLowering: Lowering = {
  lower: ({ inputs: [dy, gate, up], outputs: [dGate, dUp] }, at) => {
    const size = elementCount(dGate!.shape);
    const [gateOut, upOut] = [at.of(dGate!), at.of(dUp!)];
    const d = operand(at.of(dy!), upOut);
    const g = operand(at.of(gate!), gateOut);
    const u = operand(at.of(up!), upOut);
    return [
      {
        file: 'swiglu',
        entry: 'swiglu_dx',
        types: {
          DY: floatType(dy, at),
          G: floatType(gate, at),
          U: floatType(up, at),
          DG: floatType(dGate, at),
          DU: floatType(dUp, at),
        },
        constants: {},
        shape: [size, g.code, u.code, d.code],
        bindings: [d.binding, g.binding, u.binding, gateOut, upOut],
        groups: elementGrid(size, at),
      },
    ];
  },
};
