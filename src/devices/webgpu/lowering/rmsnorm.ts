import { columns, rows } from '../../../program/types.js';
import { f32Word, type Lowering, OPERAND, operand } from './lowering.js';

export const rmsnormLowering: Lowering = {
  lower: ({ inputs: [x, weight], outputs: [y, rstd], attributes: { eps } }, at) => [
    {
      file: 'rmsnorm',
      entry: 'rmsnorm',
      constants: {},
      shape: [rows(x!), columns(x!), f32Word(eps!), OPERAND.none, OPERAND.none],
      bindings: [at.of(x!), at.of(weight!), at.of(y!), at.of(rstd!)],
      groups: [Math.min(rows(x!), at.limits.groups), 1],
    },
  ],
};

export const rmsnormDxLowering: Lowering = {
  lower: ({ inputs: [base, dy, x, weight, rstd], outputs: [dx] }, at) => {
    const out = at.of(dx!);
    const added = operand(base ? at.of(base) : null, out);
    const upstream = operand(at.of(dy!), out);
    return [
      {
        file: 'rmsnorm',
        entry: 'rmsnorm_dx',
        constants: {},
        shape: [rows(x!), columns(x!), f32Word(0), added.code, upstream.code],
        bindings: [added.binding, upstream.binding, at.of(x!), at.of(weight!), at.of(rstd!), out],
        groups: [Math.min(rows(x!), at.limits.groups), 1],
      },
    ];
  },
};
