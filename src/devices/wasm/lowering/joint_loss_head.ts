import { DIVERGENCES, lossOutputs } from '../../../program/ops/joint_loss_head.js';
import type { Call, Value } from '../../../program/types.js';
import { columns, rows } from '../../../program/types.js';
import { BLOCK_SCRATCH_BYTES } from './linear.js';
import { type Addresses, dtypeCode, type KernelCall, type Lowering, tileCount } from './lowering.js';

/** assembly/joint_loss_head.ts: V_TILE, T_BLOCK, the number of statistics; assembly/divergence.ts: FACTORS / 4. */
const V_TILE = 256;
const T_BLOCK = 256;
const STATISTICS = 8;
const FACTORS = 12;
/** Logits of both models for one chunk of tokens stay about this large; less where they are not needed twice. */
const CHUNK_BYTES = { training: 64 * 2 ** 20, scoring: 16 * 2 ** 20 };
const MIN_CHUNK = 60;
const MAX_CHUNK = 1020;
/** Parts in which d_hidden is summed: enough for the threads, few enough to stay in the cache. */
const MAX_PARTIALS = 16;
const ROWS_PER_TILE = 12;

type LossAttributes = Readonly<Record<'alpha' | 'temperature' | 'divergence' | 'beta', number>>;

/** Sizes of a call, from shapes only. */
function shapeOf(call: Call) {
  const [hidden, head, , teacherHead] = call.inputs;
  const { dHidden } = lossOutputs(call);
  const [tokens, d] = [rows(hidden!), columns(hidden!)];
  const vocabulary = head!.shape[0]!;
  const shared = teacherHead ? Math.min(vocabulary, teacherHead.shape[0]!) : 0;
  const tiles = tileCount(vocabulary, V_TILE);
  const teacherTiles = tileCount(shared, V_TILE);
  const room = dHidden ? CHUNK_BYTES.training : CHUNK_BYTES.scoring;
  const fit = Math.floor(room / ((tiles + teacherTiles) * V_TILE * 4));
  const most = Math.min(MAX_CHUNK, Math.max(MIN_CHUNK, fit));
  const chunk = Math.ceil(Math.ceil(tokens / tileCount(tokens, most)) / 6) * 6;
  const range = tileCount(tiles, MAX_PARTIALS);
  const partials = dHidden ? tileCount(tiles, range) : 0;
  return {
    tokens,
    d,
    vocabulary,
    shared,
    tiles,
    teacherTiles,
    chunk: Math.min(chunk, tokens),
    range,
    partials,
  };
}

/** Byte offsets in the workspace. */
function workspaceOf(call: Call) {
  const { d, tiles, teacherTiles, chunk, partials } = shapeOf(call);
  const sizes = {
    zs: tiles * chunk * V_TILE,
    zt: teacherTiles * chunk * V_TILE,
    stats: STATISTICS * chunk * tiles + 4,
    factors: chunk * FACTORS,
    partials: partials * chunk * d,
  };
  let end = 0;
  const at = Object.fromEntries(
    Object.entries(sizes).map(([name, floats]) => {
      const start = end;
      end += Math.ceil(floats / 16) * 64;
      return [name, start];
    }),
  ) as Record<keyof typeof sizes, number>;
  return { at, bytes: end };
}

const rowBytes = (value: Value) => columns(value) * 4;

/** `count` tokens from `first` on, and what their kernels have in common. */
interface Chunk {
  readonly first: number;
  readonly count: number;
  /** Address of its labels. */
  readonly labels: number;
  readonly at: (name: keyof ReturnType<typeof workspaceOf>['at']) => number;
}

export const jointLossHeadLowering: Lowering = {
  lower(call, memory): KernelCall[] {
    const { tokens, chunk } = shapeOf(call);
    const offsets = workspaceOf(call).at;
    const { dHidden, dHead, argMax } = lossOutputs(call);
    const calls: KernelCall[] = [];
    for (let first = 0; first < tokens; first += chunk) {
      const part: Chunk = {
        first,
        count: Math.min(chunk, tokens - first),
        labels: memory.of(call.inputs[4]) + 4 * first,
        at: (name) => memory.workspace + offsets[name],
      };
      calls.push(...losses(call, part, memory));
      if (argMax) calls.push(largestLogits(call, argMax, part, memory));
      if (dHidden) calls.push(...hiddenGradient(call, dHidden, part, memory));
      if (dHead) calls.push(headGradient(call, dHead, part, memory));
    }
    return calls;
  },
  workspaceBytes: (call) => workspaceOf(call).bytes,
  scratchBytes: (call) => BLOCK_SCRATCH_BYTES + (lossOutputs(call).dHead ? V_TILE * T_BLOCK * 4 : 0),
};

/** Hidden states of the chunk and their width. */
const statesOf = (hidden: Value, { first }: Chunk, memory: Addresses): number[] => [
  memory.of(hidden) + first * rowBytes(hidden),
  columns(hidden),
];

/** Both models' logits, then losses and gradient factors of every token. */
function losses(call: Call, chunk: Chunk, memory: Addresses): KernelCall[] {
  const [hidden, head, teacherHidden, teacherHead] = call.inputs;
  const { vocabulary, shared, tiles, teacherTiles } = shapeOf(call);
  const { alpha, temperature: tau, divergence, beta } = call.attributes as LossAttributes;
  const { first, count, labels, at } = chunk;
  const [ce, kl] = call.outputs.map((output) => memory.of(output) + 4 * first) as [number, number];
  const student = [...statesOf(hidden!, chunk, memory), memory.of(head), dtypeCode(head), vocabulary];
  const teacher = teacherHidden ? statesOf(teacherHidden, chunk, memory) : [0, 0];
  const logits = [
    count,
    labels,
    ...student,
    ...teacher,
    memory.of(teacherHead),
    dtypeCode(teacherHead),
    shared,
  ];
  logits.push(divergence, 1 / tau, at('zs'), at('zt'), at('stats'), tiles);
  const rowsOf = [ROWS_PER_TILE, count, labels, at('stats'), tiles];
  const rowTiles = tileCount(count, ROWS_PER_TILE);
  const weights = [divergence, beta, tau, 1 - alpha, alpha];
  const lossScale = memory.of(call.inputs[5]);
  const calls: KernelCall[] = [
    { kernel: 'joint_loss_logits', tiles, args: logits },
    {
      kernel: 'joint_loss_rows',
      tiles: rowTiles,
      isSmall: true,
      args: [...rowsOf, teacherHidden ? 1 : 0, ...weights, lossScale, ce, kl, at('factors')],
    },
  ];
  if (!teacherHidden || DIVERGENCES[divergence] !== 'jsd') return calls;
  const mixture = [
    count,
    labels,
    shared,
    1 / tau,
    beta,
    at('zs'),
    at('zt'),
    at('factors'),
    at('stats'),
    tiles,
  ];
  calls.push({ kernel: 'joint_loss_mixture', tiles: teacherTiles, isSmall: true, args: mixture });
  const mixtureRows = [...rowsOf, teacherTiles, tau, beta, kl, at('factors')];
  calls.push({ kernel: 'joint_loss_mixture_rows', tiles: rowTiles, isSmall: true, args: mixtureRows });
  return calls;
}

/** The entry of each token's largest logit, looked for in the tile whose maximum it is. */
function largestLogits(call: Call, argMax: Value, chunk: Chunk, memory: Addresses): KernelCall {
  const { vocabulary, tiles } = shapeOf(call);
  const { first, count, labels, at } = chunk;
  const out = memory.of(argMax) + 4 * first;
  const args = [ROWS_PER_TILE, count, labels, vocabulary, at('zs'), at('stats'), tiles, out];
  return { kernel: 'joint_loss_arg_max', tiles: tileCount(count, ROWS_PER_TILE), isSmall: true, args };
}

/** Logits become their gradient; d_hidden in parts, and their sum. */
function hiddenGradient(call: Call, dHidden: Value, chunk: Chunk, memory: Addresses): KernelCall[] {
  const [, head, teacherHidden] = call.inputs;
  const { d, vocabulary, shared, tiles, range, partials } = shapeOf(call);
  const { temperature: tau, divergence, beta } = call.attributes as LossAttributes;
  const { first, count, labels, at } = chunk;
  const weights = [d, memory.of(head), dtypeCode(head), vocabulary, teacherHidden ? 1 : 0, shared];
  const gradient = [range, count, labels, ...weights, divergence, beta, 1 / tau, at('zs'), at('zt')];
  gradient.push(at('factors'), at('partials'), tiles);
  const out = memory.of(dHidden) + first * rowBytes(dHidden);
  const reduce = [ROWS_PER_TILE, count, labels, d, at('partials'), partials, out];
  return [
    { kernel: 'joint_loss_gradient', tiles: partials, args: gradient },
    { kernel: 'joint_loss_reduce', tiles: tileCount(count, ROWS_PER_TILE), isSmall: true, args: reduce },
  ];
}

/** The chunk's part of d_head, added to that of the chunks before it. */
function headGradient(call: Call, dHead: Value, chunk: Chunk, memory: Addresses): KernelCall {
  const { vocabulary, tiles } = shapeOf(call);
  const states = statesOf(call.inputs[0]!, chunk, memory);
  const args = [
    chunk.count,
    chunk.labels,
    ...states,
    vocabulary,
    chunk.at('zs'),
    memory.of(dHead),
    chunk.first > 0 ? 1 : 0,
  ];
  return { kernel: 'joint_loss_head_gradient', tiles, args };
}
