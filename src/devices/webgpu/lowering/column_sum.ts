import { columns, elementCount, rows, type Value } from '../../../program/types.js';
import { elementGrid } from './grid.js';
import { type Dispatch, floatType, type Lowering, OPERAND, type Operands, operand } from './lowering.js';

/** kernels/column_sum.wgsl, rmsnorm.wgsl: COLUMNS. */
const COLUMNS = 64;
/** Parts that a sum over rows is cut into at most: enough to fill a GPU, few enough to be added up one by one. */
const MAX_PARTS = 128;
/** Rows that a part has at least. */
const MIN_ROWS = 64;

/** A sum over rows in two passes: the rows of each part, then the parts. */
interface RowParts extends Parts {
  readonly rowsPerPart: number;
  /** Of the first pass. */
  readonly groups: [number, number];
}

/** Summands of a tensor, one after the other. */
interface Parts {
  readonly parts: number;
  /** Room for them. */
  readonly bytes: number;
}

export function partsOf(height: number, width: number): RowParts {
  const rowsPerPart = Math.max(MIN_ROWS, Math.ceil(height / MAX_PARTS));
  const parts = Math.ceil(height / rowsPerPart);
  return { rowsPerPart, parts, groups: [Math.ceil(width / COLUMNS), parts], bytes: 4 * parts * width };
}

/** y = base + the parts in the workspace. */
export function sumParts(
  base: Value | null | undefined,
  y: Value,
  { parts, bytes }: Parts,
  at: Operands,
): Dispatch {
  const [width, out] = [elementCount(y.shape), at.of(y)];
  const added = operand(base ? at.of(base) : null, out);
  return {
    file: 'column_sum',
    entry: 'sum_parts',
    types: { B: floatType(base, at), Y: floatType(y, at) },
    constants: {},
    shape: [width, 0, 0, parts, added.code],
    bindings: [added.binding, { ...at.workspace, bytes }, out],
    groups: elementGrid(width, at),
  };
}

export const columnSumLowering: Lowering = {
  lower: ({ inputs: [base, x], outputs: [y] }, at) => {
    const [height, width] = [rows(x!), columns(x!)];
    const parts = partsOf(height, width);
    return [
      {
        file: 'column_sum',
        entry: 'column_sum',
        types: { X: floatType(x, at) },
        constants: {},
        shape: [width, height, parts.rowsPerPart, 0, OPERAND.none],
        bindings: [at.of(x!), { ...at.workspace, bytes: parts.bytes }],
        groups: parts.groups,
      },
      sumParts(base, y!, parts, at),
    ];
  },
  workspaceBytes: ({ inputs: [, x] }) => partsOf(rows(x!), columns(x!)).bytes,
};
