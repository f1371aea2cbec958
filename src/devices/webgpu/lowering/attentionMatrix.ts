import { type Call, rows, type Value } from '../../../program/types.js';
import { shapeOf } from './attentionShape.js';
import { type Dispatch, floatType, type Matrices, type Operands, type Region } from './lowering.js';

/** kernels/attention_matrix.wgsl: TILE_ROWS, as chosen here, and TILE_COLUMNS. */
const TILE_ROWS = 64;
const TILE_COLUMNS = 32;

/** The constants the kernels leave open. */
interface Tiles extends Readonly<Record<string, number>> {
  readonly THREADS: number;
  readonly HEAD_DIM: number;
}

/** Words of a result's sums that a thread can have in registers, and of two results'. More spill. */
const MOST_SUMS = 64;
const MOST_SUMS_OF_TWO = 96;

/**
 * Tiles for a call, where its factors are halves, its sequences whole tiles and its heads whole matrices, whose sums fit
 * into registers.
 */
export function matrixTiles(
  { inputs, attributes }: Call,
  factors: readonly number[],
  at: Operands,
): Tiles | undefined {
  const { matrices } = at.target;
  const { sequence, headDim } = attributes as Record<'sequence' | 'headDim', number>;
  const halves = factors.every((index) => floatType(inputs[index], at) === 'f16');
  if (!matrices || !halves || sequence % TILE_ROWS !== 0) return undefined;
  const { m, n, k } = matrices;
  const whole = [
    TILE_ROWS % m,
    TILE_COLUMNS % n,
    TILE_COLUMNS % k,
    headDim % n,
    headDim % k,
    TILE_COLUMNS % rowThreads(matrices),
  ];
  if (whole.some((rest) => rest !== 0) || !Number.isInteger(rowThreads(matrices))) return undefined;
  const subgroups = TILE_ROWS / m;
  const tiles = {
    MATRIX_M: m,
    MATRIX_N: n,
    MATRIX_K: k,
    HEAD_DIM: headDim,
    SUBGROUPS: subgroups,
    SUBGROUP_SIZE: matrices.subgroup,
    THREADS: subgroups * matrices.subgroup,
    WITH_DK: 1,
    WITH_DV: 1,
  };
  return sumsOf(tiles) <= MOST_SUMS ? tiles : undefined;
}

const sumsOf = ({ HEAD_DIM, THREADS }: Tiles): number => (HEAD_DIM * TILE_ROWS) / THREADS;

/** Threads that share a row of scores. */
const rowThreads = ({ m, subgroup }: Matrices): number => subgroup / m;

/** A dispatch with a workgroup for each tile of rows and each of `heads`. */
function tiled(entry: string, tiles: Tiles, heads: number, { inputs: [q], attributes }: Call) {
  return {
    file: 'attention_matrix',
    entry,
    constants: tiles,
    shape: shapeOf(q!, attributes),
    groups: [rows(q!) / TILE_ROWS, heads] as const,
  };
}

export function attentionByMatrices(call: Call, tiles: Tiles, at: Operands): Dispatch[] {
  const [q, k, v, positions] = call.inputs as Value[];
  const [o, lse] = call.outputs as Value[];
  // No kernel of the forward pass reads dO, but all declare it.
  const inputs = [...[q, k, v].map((x) => at.of(x!)), null, at.of(positions!)];
  const heads = call.attributes.heads!;
  return [
    { ...tiled('attention_lse', tiles, heads, call), types: {}, bindings: [...inputs, at.of(lse!)] },
    {
      ...tiled('attention_o', tiles, heads, call),
      types: { O: floatType(o, at) },
      bindings: [...inputs, at.of(o!), at.of(lse!)],
    },
  ];
}

/** @param terms lse and D of each query and head, as attention_dx_rows leaves them */
export function attentionDxByMatrices(call: Call, tiles: Tiles, terms: Region, at: Operands): Dispatch[] {
  const [q, k, v, positions, , , dO] = call.inputs as Value[];
  const [dq, dk, dv] = call.outputs as Value[];
  const { heads, keyValueHeads } = call.attributes;
  const areTogether = 2 * sumsOf(tiles) <= MOST_SUMS_OF_TWO;
  const results = areTogether ? [[1, 1] as const] : [[1, 0] as const, [0, 1] as const];
  const inputs = [...[q, k, v, dO, positions].map((x) => at.of(x!)), terms];
  return [
    {
      ...tiled('attention_matrix_dq', tiles, heads!, call),
      types: { DQ: floatType(dq, at) },
      bindings: [...inputs, at.of(dq!)],
    },
    ...results.map(([WITH_DK, WITH_DV]) => ({
      ...tiled('attention_matrix_dkv', { ...tiles, WITH_DK, WITH_DV }, keyValueHeads!, call),
      types: { DK: floatType(dk, at), DV: floatType(dv, at) },
      bindings: [...inputs, at.of(dk!), at.of(dv!)],
    })),
  ];
}
