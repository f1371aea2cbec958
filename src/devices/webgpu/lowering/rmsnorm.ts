import { elementCount, type Value } from '../../../program/types.js';
import { partsOf, sumParts } from './column_sum.js';
import { rowThreads } from './grid.js';
import { f32Word, floatType, type Lowering, OPERAND, operand } from './lowering.js';

/** Groups that are normalised on their own, and their width: rows and width to the kernel. */
function groupsOf(x: Value, rstd: Value): [groups: number, width: number] {
  const groups = elementCount(rstd.shape);
  return [groups, elementCount(x.shape) / groups];
}

export const rmsnormLowering: Lowering = {
  lower: ({ inputs: [x, weight], outputs: [y, rstd], attributes: { eps } }, at) => [
    {
      file: 'rmsnorm',
      entry: 'rmsnorm',
      types: { X: floatType(x, at), Y: floatType(y, at) },
      constants: { THREADS: rowThreads(groupsOf(x!, rstd!)[1]) },
      shape: [...groupsOf(x!, rstd!), f32Word(eps!), OPERAND.none, OPERAND.none, 0],
      bindings: [at.of(x!), at.of(weight!), at.of(y!), at.of(rstd!)],
      groups: [Math.min(elementCount(rstd!.shape), at.target.groups), 1],
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
        types: { X: floatType(x, at), DY: floatType(dy, at), B: floatType(base, at), DX: floatType(dx, at) },
        constants: { THREADS: rowThreads(groupsOf(x!, rstd!)[1]) },
        shape: [...groupsOf(x!, rstd!), f32Word(0), added.code, upstream.code, 0],
        bindings: [added.binding, upstream.binding, at.of(x!), at.of(weight!), at.of(rstd!), out],
        groups: [Math.min(elementCount(rstd!.shape), at.target.groups), 1],
      },
    ];
  },
};

export const rmsnormDwLowering: Lowering = {
  lower: ({ inputs: [base, dy, x, rstd], outputs: [dw] }, at) => {
    const [height, width] = groupsOf(x!, rstd!);
    const parts = partsOf(height, width);
    const room = { ...at.workspace, bytes: parts.bytes };
    return [
      {
        file: 'rmsnorm',
        entry: 'rmsnorm_dw',
        types: { DY: floatType(dy, at), X: floatType(x, at) },
        constants: {},
        shape: [height, width, f32Word(0), OPERAND.none, OPERAND.none, parts.rowsPerPart],
        bindings: [at.of(dy!), at.of(x!), at.of(rstd!), room],
        groups: parts.groups,
      },
      sumParts(base, dw!, parts, at),
    ];
  },
  workspaceBytes: ({ inputs: [, , x, rstd] }) => partsOf(...groupsOf(x!, rstd!)).bytes,
};
