import { type Call, columns, rows, type Value } from '../../../program/types.js';
import { type LeftFactor, leftFactor, productDispatches, rightFactor } from './linear.js';
import {
  type Dispatch,
  f32Word,
  floatType,
  type Lowering,
  type Operands,
  type Region,
  roundUp,
  type Target,
} from './lowering.js';

/** Logits of one model for a chunk of tokens take at most this much: 256 tokens of a vocabulary of 128 k. */
const LOGITS_BYTES = 128 * 2 ** 20;
/** kernels/linear.wgsl: TILE_M; a chunk of whole tiles wastes nothing. */
const TILE = 64;
/** Where a binding may begin. */
const ALIGNMENT = 256;

const HEAD_GRADIENT =
  'joint_loss_head: the webgpu device has no gradient of the head; keep the head frozen, or train it on wasm';

type Objective = Readonly<Record<'alpha' | 'temperature' | 'divergence' | 'beta', number>>;

/** Sizes of a call, from shapes and limits only. `shared` is 0 without a teacher. */
function sizesOf({ inputs: [hidden, head, , teacherHead] }: Call, target: Target) {
  const tokens = rows(hidden!);
  const vocabulary = rows(head!);
  const shared = teacherHead ? Math.min(vocabulary, rows(teacherHead)) : 0;
  const fit = Math.max(1, Math.floor(Math.min(LOGITS_BYTES, target.bindingBytes) / (vocabulary * 4)));
  const most = fit < TILE ? fit : fit - (fit % TILE);
  const chunk = Math.min(tokens, most, roundUp(tokens / Math.ceil(tokens / most), TILE));
  const studentBytes = roundUp(chunk * vocabulary * 4, ALIGNMENT);
  return { tokens, vocabulary, shared, chunk, studentBytes, bytes: studentBytes + chunk * shared * 4 };
}

/** `count` tokens from `first` on, and their logits: zs [count, vocabulary], zt [count, shared]. */
interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly vocabulary: number;
  readonly shared: number;
  readonly zs: Region;
  readonly zt: Region | null;
}

export const jointLossHeadLowering: Lowering = {
  lower(call, at): Dispatch[] {
    const [hidden, head, teacherHidden, teacherHead] = call.inputs;
    const [, , dHidden, dHead] = call.outputs;
    if (dHead) throw new Error(HEAD_GRADIENT);
    return chunks(call, at).flatMap((chunk) => {
      const { vocabulary, shared, zs, zt } = chunk;
      return [
        ...logits(hidden!, head!, chunk, vocabulary, zs, at),
        ...(zt ? logits(teacherHidden!, teacherHead!, chunk, shared, zt, at) : []),
        lossRows(call, chunk, at),
        ...(dHidden ? hiddenGradient(head!, dHidden, chunk, at) : []),
      ];
    });
  },
  workspaceBytes: (call, target) => sizesOf(call, target).bytes,
};

function chunks(call: Call, { target, workspace }: Operands): Chunk[] {
  const { tokens, vocabulary, shared, chunk, studentBytes } = sizesOf(call, target);
  return Array.from({ length: Math.ceil(tokens / chunk) }, (_, i) => {
    const first = i * chunk;
    const count = Math.min(chunk, tokens - first);
    const zs = { ...workspace, bytes: count * vocabulary * 4 };
    const zt = { ...workspace, offset: workspace.offset + studentBytes, bytes: count * shared * 4 };
    return { first, count, vocabulary, shared, zs, zt: shared > 0 ? zt : null };
  });
}

/** z [count, entries] = h W^T over the first `entries` of the vocabulary. */
function logits(
  hidden: Value,
  head: Value,
  { first, count }: Chunk,
  entries: number,
  z: Region,
  at: Operands,
): Dispatch[] {
  const x = leftFactor(hidden, at, true, first);
  const w = rightFactor(head, at, true, entries);
  const terms = [{ x, w, depth: columns(hidden), scale: 1 }];
  const y = { base: null, y: z, type: 'f32' as const, first: 0, stride: entries };
  return productDispatches({ m: count, n: entries, ...y, terms }, at.target);
}

/** Losses of the chunk's tokens; the student's logits become their gradient if there is one. */
function lossRows({ inputs, outputs, attributes }: Call, chunk: Chunk, at: Operands): Dispatch {
  const [ce, kl, dHidden] = outputs;
  const { first, count, vocabulary, shared, zs, zt } = chunk;
  const { alpha, temperature, divergence, beta } = attributes as Objective;
  const factors = [temperature, 1 / temperature, 1 - alpha, alpha, beta];
  return {
    file: 'joint_loss_head',
    entry: 'joint_loss_rows',
    types: {},
    constants: { TEACHER: zt ? 1 : 0, GRADIENT: dHidden ? 1 : 0, DIVERGENCE: divergence },
    shape: [first, vocabulary, shared, ...factors.map(f32Word)],
    bindings: [at.of(inputs[4]!), zs, zt, at.of(ce!), at.of(kl!)],
    groups: [count, 1],
  };
}

/** d_hidden = G W, G [count, vocabulary] in place of the logits. */
function hiddenGradient(head: Value, dHidden: Value, chunk: Chunk, at: Operands): Dispatch[] {
  const { first, count, vocabulary, zs } = chunk;
  const x: LeftFactor = { region: zs, type: 'f32', first: 0, stride: vocabulary, alongK: true };
  const terms = [{ x, w: rightFactor(head, at, false), depth: vocabulary, scale: 1 }];
  const width = columns(dHidden);
  const y = {
    base: null,
    y: at.of(dHidden),
    type: floatType(dHidden, at),
    first: first * width,
    stride: width,
  };
  return productDispatches({ m: count, n: width, ...y, terms }, at.target);
}
