import { InputError } from '../../../base/errors.js';
import { type Call, rows, type Value } from '../../../program/types.js';
import { attentionByMatrices, attentionDxByMatrices, matrixTiles } from './attentionMatrix.js';
import { shapeOf } from './attentionShape.js';
import { areAdmitted, type Dispatch, floatType, type Lowering, type Operands } from './lowering.js';

/** Of a thread: drivers keep no larger sums in registers (kernels/attention_tiles.wgsl). */
const MOST_ROWS = 8;
const VECTORS = 2;
/** kernels/attention_dx.wgsl: rows of attention_dx_rows in a workgroup. */
const ROWS_AT_ONCE = 16;
/** Of a workgroup of either one or two sides. */
const THREADS = 64;
/** lse and D of a query and a head. */
const TERM_BYTES = 8;

/** Constants of kernels/attention_tiles.wgsl. */
export interface Tiles {
  readonly ROWS: number;
  readonly ROW_THREADS: number;
  readonly COLUMN_THREADS: number;
  readonly VECTORS: number;
  readonly DEPTH: number;
  readonly STAGED: number;
  readonly SIDES: number;
}

/**
 * The largest tiles for heads of a size that fit into an adapter's workgroup memory. Heads of up to 64 share one kernel.
 * Throws an InputError where none fit.
 */
export function tilesFor(headDim: number, sides: 1 | 2, workgroupBytes: number): Tiles {
  const width = Math.ceil(headDim / 4);
  let columnThreads = 8;
  while (columnThreads * VECTORS < width) columnThreads *= 2;
  const tiles = [MOST_ROWS, MOST_ROWS / 2].flatMap((ROWS) =>
    [8, 4, 2, 1].map((DEPTH) => ({
      ROWS,
      ROW_THREADS: Math.max(1, THREADS / sides / columnThreads),
      COLUMN_THREADS: columnThreads,
      VECTORS,
      DEPTH,
      STAGED: Math.max(4, 2 * DEPTH),
      SIDES: sides,
    })),
  );
  const largest = tiles.find((candidate) => bytesOf(candidate) <= workgroupBytes);
  if (!largest) {
    throw new InputError(
      `Expected heads whose tiles fit into ${workgroupBytes} bytes of workgroup memory, found heads of ${headDim}: ` +
        'use another model, or --device wasm',
    );
  }
  return largest;
}

/** Workgroup memory: LEFT_SIZE and RIGHT_SIZE vec4s a side, and a word. */
export function bytesOf(tiles: Tiles): number {
  const { ROWS, ROW_THREADS, COLUMN_THREADS, VECTORS, DEPTH, STAGED, SIDES } = tiles;
  const left = Math.max(DEPTH, COLUMN_THREADS) * (ROWS * ROW_THREADS + 2);
  const right = Math.max(
    4 * DEPTH * (COLUMN_THREADS + 1),
    STAGED * VECTORS * COLUMN_THREADS,
    (ROWS / 4) * ROW_THREADS * COLUMN_THREADS,
  );
  return 16 * (SIDES * (left + right) + 1);
}

/** A dispatch with a workgroup for each tile of rows and each of `heads`. */
function tiled(
  entry: string,
  tiles: Tiles,
  heads: number,
  { inputs: [q], attributes }: Call,
): Omit<Dispatch, 'bindings' | 'types'> {
  const { sequence } = attributes;
  const height = Math.ceil(sequence! / (tiles.ROWS * tiles.ROW_THREADS));
  return {
    file: entry === 'attention' ? 'attention' : 'attention_dx',
    entry,
    constants: { ...tiles },
    shape: shapeOf(q!, attributes),
    groups: [(rows(q!) / sequence!) * height, heads],
  };
}

export const attentionLowering: Lowering = {
  lower(call, at): Dispatch[] {
    const [q, k, v, positions] = call.inputs as Value[];
    const [o, lse] = call.outputs as Value[];
    const tilesOfMatrices = matrixTiles(call, [0, 1, 2], at);
    const byMatrices = tilesOfMatrices && attentionByMatrices(call, tilesOfMatrices, at);
    if (byMatrices && areAdmitted(byMatrices, at.target)) return byMatrices;
    const { heads, headDim } = call.attributes;
    const tiles = tilesFor(headDim!, 1, at.target.workgroupBytes);
    return [
      {
        ...tiled('attention', tiles, heads!, call),
        types: { Q: floatType(q, at), K: floatType(k, at), V: floatType(v, at), O: floatType(o, at) },
        bindings: [...[q, k, v].map((x) => at.of(x!)), null, at.of(positions!), at.of(o!), at.of(lse!)],
      },
    ];
  },
};

export const attentionDxLowering: Lowering = {
  lower: (call, at) => [dxRows(call, at), ...dxTiles(call, at)],
  workspaceBytes: (call) => termsOf(call) * TERM_BYTES,
};

const termsOf = ({ inputs: [q], attributes }: Call): number => rows(q!) * attributes.heads!;

const termsRegion = (call: Call, at: Operands) => ({ ...at.workspace, bytes: termsOf(call) * TERM_BYTES });

function dxRows(call: Call, at: Operands): Dispatch {
  const [q, , , , o, lse, dO] = call.inputs as Value[];
  return {
    file: 'attention_dx',
    entry: 'attention_dx_rows',
    constants: { ...tilesFor(call.attributes.headDim!, 1, at.target.workgroupBytes) },
    types: { O: floatType(o, at), DO: floatType(dO, at) },
    shape: shapeOf(q!, call.attributes),
    bindings: [at.of(o!), at.of(dO!), at.of(lse!), termsRegion(call, at)],
    groups: [Math.min(Math.ceil(termsOf(call) / ROWS_AT_ONCE), at.target.groups), 1],
  };
}

function dxTiles(call: Call, at: Operands): Dispatch[] {
  const tilesOfMatrices = matrixTiles(call, [0, 1, 2, 6], at);
  const terms = termsRegion(call, at);
  const byMatrices = tilesOfMatrices && attentionDxByMatrices(call, tilesOfMatrices, terms, at);
  if (byMatrices && areAdmitted(byMatrices, at.target)) return byMatrices;
  const [q, k, v, positions, , , dO] = call.inputs as Value[];
  const [dq, dk, dv] = call.outputs as Value[];
  const { heads, keyValueHeads, headDim } = call.attributes;
  const [one, two] = ([1, 2] as const).map((sides) => tilesFor(headDim!, sides, at.target.workgroupBytes));
  const types = { Q: floatType(q, at), K: floatType(k, at), V: floatType(v, at), DO: floatType(dO, at) };
  const inputs = [...[q, k, v, dO, positions].map((x) => at.of(x!)), terms];
  return [
    {
      ...tiled('attention_dq', one!, heads!, call),
      types: { ...types, DQ: floatType(dq, at) },
      bindings: [...inputs, at.of(dq!)],
    },
    {
      ...tiled('attention_dkv', two!, keyValueHeads!, call),
      types: { ...types, DK: floatType(dk, at), DV: floatType(dv, at) },
      bindings: [...inputs, at.of(dk!), at.of(dv!)],
    },
  ];
}
