import { type Call, columns, rows, type Value } from '../../../program/types.js';
import { type Addresses, dtypeCode, type KernelCall, type Lowering, tileCount } from './lowering.js';

/** assembly/gemm.ts: BLOCK_BYTES. */
export const BLOCK_SCRATCH_BYTES = 512 * 128 * 4 + 256;
/** assembly/gemm.ts: N_BLOCK. */
const MAX_TILE_COLUMNS = 128;
/** Rows of a tile: enough to pay for packing the weight (about 6 / rows of the time), few enough to share out. */
const TILE_ROWS = 252;

const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** Tiles of a product [m, n], of about `most` rows: equal ranges of whole panels, so that no tile is a sliver. */
export function tileShape(
  m: number,
  n: number,
  most = TILE_ROWS,
): { rowsPerTile: number; columnsPerTile: number; tiles: number } {
  const across = tileCount(n, MAX_TILE_COLUMNS);
  const columnsPerTile = roundUp(Math.ceil(n / across), 8);
  const down = tileCount(m, most);
  const rowsPerTile = roundUp(Math.ceil(m / down), 6);
  return {
    rowsPerTile,
    columnsPerTile,
    tiles: tileCount(m, rowsPerTile) * tileCount(n, columnsPerTile),
  };
}

/** Arguments of one term: x, w, k, dtype, scale. */
function term(
  x: Value | null | undefined,
  w: Value | null | undefined,
  scale: number,
  at: Addresses,
): number[] {
  return x && w ? [at.of(x), at.of(w), columns(x), dtypeCode(w), scale] : [0, 0, 0, 0, 0];
}

/**
 * Rows up to which weights are read in place (assembly/linear_few.ts): packing a tile costs as much as multiplying it by
 * about six rows.
 */
const FEW_ROWS = 8;

/** Tiles of a product of few rows, at least, where there are columns for them: enough to share out evenly. */
const FEW_TILES = 12;
/** Columns of such a tile, at most and at least: four runs of neighbouring rows of the weight, each read as a stream. */
const [MOST_FEW_COLUMNS, LEAST_FEW_COLUMNS] = [128, 16];

function fewColumns(n: number): number {
  let columns = MOST_FEW_COLUMNS;
  while (columns > LEAST_FEW_COLUMNS && tileCount(n, columns) < FEW_TILES) columns /= 2;
  return columns;
}

/** Whether weights are read in place: rows are few, and fit into the scratch as f32. */
const isFew = ({ inputs: [, x1, , x2], outputs: [y] }: Call): boolean => {
  const depth = Math.max(columns(x1!), x2 ? columns(x2) : 0);
  return rows(y!) <= FEW_ROWS && 4 * rows(y!) * depth <= BLOCK_SCRATCH_BYTES;
};

function few(
  { inputs: [base, x1, w1, x2, w2, bias], outputs: [y], attributes }: Call,
  at: Addresses,
): KernelCall {
  const [m, n] = [rows(y!), columns(y!)];
  const perTile = fewColumns(n);
  const args = [at.of(base), at.of(y), m, n, perTile];
  args.push(...term(x1, w1, attributes.scale!, at), ...term(x2, w2, attributes.scale2!, at), at.of(bias));
  return { kernel: 'linear_few', tiles: tileCount(n, perTile), args };
}

function productLowering(kernel: 'linear' | 'linear_dx'): Lowering {
  return {
    lower(call, at): KernelCall[] {
      const { inputs, outputs, attributes } = call;
      const [base, x1, w1, x2, w2, bias] = inputs;
      const [y] = outputs;
      if (kernel === 'linear' && isFew(call)) return [few(call, at)];
      const [m, n] = [rows(y!), columns(y!)];
      const { rowsPerTile, columnsPerTile, tiles } = tileShape(m, n);
      const args = [at.of(base), at.of(y), m, n, rowsPerTile, columnsPerTile];
      args.push(...term(x1, w1, attributes.scale!, at), ...term(x2, w2, attributes.scale2!, at));
      if (kernel === 'linear') args.push(at.of(bias));
      return [{ kernel, tiles, args }];
    },
    scratchBytes: () => BLOCK_SCRATCH_BYTES,
  };
}

export const linearLowering = productLowering('linear');
export const linearDxLowering = productLowering('linear_dx');

/** assembly/linear.ts: DW_ROWS, DW_BLOCK. */
const DW_PACKED_ROWS = 126;
const DW_BLOCK = 256;
/** Rows of a tile whose operands are read in place: whole micro-kernels of 6. */
const DW_TILE_ROWS = 48;
const DW_SCRATCH_BYTES =
  4 * (DW_PACKED_ROWS * MAX_TILE_COLUMNS + DW_BLOCK * (DW_PACKED_ROWS + MAX_TILE_COLUMNS));

/** LoRA's gradients have one narrow side and are read in place; packing pays where a whole weight is trained. */
export const linearDwLowering: Lowering = {
  lower({ inputs: [base, dy, x], outputs: [dw], attributes }, at): KernelCall[] {
    const [out, width] = [columns(dy!), columns(x!)];
    const packed = Math.min(out, width) > MAX_TILE_COLUMNS;
    const flip = !packed && out < width;
    const [big, small] = flip ? [x!, dy!] : [dy!, x!];
    const [m, n] = [columns(big), columns(small)];
    const most = packed ? DW_PACKED_ROWS : Math.min(DW_TILE_ROWS, Math.ceil(m / 4));
    const { rowsPerTile, columnsPerTile, tiles } = tileShape(m, n, most);
    const args = [at.of(base), at.of(dw), at.of(big), m, at.of(small), n, rows(dy!)];
    args.push(rowsPerTile, columnsPerTile, attributes.scale!, flip ? 1 : 0, packed ? 1 : 0);
    return [{ kernel: 'linear_dw', tiles, args }];
  },
  scratchBytes: () => DW_SCRATCH_BYTES,
};
