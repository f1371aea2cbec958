import { columns, elementCount, rows, type Value } from '../../../program/types.js';
import { elementGrid, rowGrid } from './grid.js';
import {
  type Dispatch,
  dtypeCode,
  floatType,
  type Lowering,
  OPERAND,
  type Operands,
  type Region,
} from './lowering.js';
import { type RowRange, regionOfRows, rowRanges } from './rowRanges.js';

/** kernels/embed.wgsl: struct Link. */
const LINK_BYTES = 8;

export const embedLowering: Lowering = {
  lower: ({ inputs: [tokens, weight], outputs: [x] }, at) =>
    rowRanges(weight!, at).map((range) => ({
      file: 'embed',
      entry: 'embed',
      types: {},
      constants: { DTYPE: dtypeCode(weight!, at) },
      shape: [rows(x!), columns(x!), range.first, range.count, OPERAND.none],
      bindings: [at.of(tokens!), regionOfRows(weight!, range, at), at.of(x!)],
      groups: rowGrid(rows(x!), at),
    })),
};

export const embedDwLowering: Lowering = {
  lower({ inputs: [base, tokens, dx], outputs: [dw] }, at): Dispatch[] {
    const links = { ...at.workspace, bytes: LINK_BYTES * rows(dx!) };
    const inPlace = base && at.of(base).storage === at.of(dw!).storage;
    const ranges = rowRanges(dw!, at);
    return [
      ...(inPlace ? [] : ranges.map((range) => start(base ?? null, dw!, range, at))),
      link(tokens!, links, at),
      ...ranges.map((range) => add(tokens!, links, dx!, dw!, range, at)),
    ];
  },
  workspaceBytes: ({ inputs: [, , dx] }) => LINK_BYTES * rows(dx!),
};

/** dw = base or 0. */
const start = (base: Value | null, dw: Value, range: RowRange, at: Operands): Dispatch => ({
  file: 'embed',
  entry: 'embed_dw_start',
  types: { B: floatType(base, at) },
  constants: {},
  shape: [0, columns(dw), range.first, range.count, base ? OPERAND.separate : OPERAND.none],
  bindings: [base && regionOfRows(base, range, at), regionOfRows(dw, range, at)],
  groups: elementGrid(range.count * columns(dw), at),
});

/** Where each token comes first and next. */
const link = (tokens: Value, links: Region, at: Operands): Dispatch => ({
  file: 'embed',
  entry: 'embed_dw_links',
  types: {},
  constants: {},
  shape: [elementCount(tokens.shape), 0, 0, 0, OPERAND.none],
  bindings: [at.of(tokens), links],
  groups: elementGrid(elementCount(tokens.shape), at),
});

/** dw[tokens_t] += dx_t. */
const add = (
  tokens: Value,
  links: Region,
  dx: Value,
  dw: Value,
  range: RowRange,
  at: Operands,
): Dispatch => ({
  file: 'embed',
  entry: 'embed_dw',
  types: { DX: floatType(dx, at) },
  constants: {},
  shape: [rows(dx), columns(dx), range.first, range.count, OPERAND.none],
  bindings: [at.of(tokens), links, at.of(dx), regionOfRows(dw, range, at)],
  groups: [rowGrid(rows(dx), at)[0], elementGrid(columns(dx), at)[0]],
});
