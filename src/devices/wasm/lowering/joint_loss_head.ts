import type { Call, Value } from '../../../program/types.js';
import { columns, rows } from '../../../program/types.js';
import { BLOCK_SCRATCH_BYTES } from './linear.js';
import { dtypeCode, type KernelCall, type Lowering, tileCount } from './lowering.js';

/** assembly/joint_loss_head.ts: V_TILE, the number of statistics, FACTORS. */
const V_TILE = 256;
const STATISTICS = 8;
const FACTORS = 8;
/** Logits of both models for one chunk of tokens stay about this large; less where they are not needed twice. */
const CHUNK_BYTES = { training: 64 * 2 ** 20, scoring: 16 * 2 ** 20 };
const MIN_CHUNK = 60;
const MAX_CHUNK = 1020;
/** Parts in which d_hidden is summed: enough for the threads, few enough to stay in the cache. */
const MAX_PARTIALS = 16;
const ROWS_PER_TILE = 12;

/** Sizes of a call, from shapes only. */
function shapeOf({ inputs: [hidden, head, , teacherHead], outputs }: Call) {
  const [tokens, d] = [rows(hidden!), columns(hidden!)];
  const vocabulary = head!.shape[0]!;
  const shared = teacherHead ? Math.min(vocabulary, teacherHead.shape[0]!) : 0;
  const tiles = tileCount(vocabulary, V_TILE);
  const teacherTiles = tileCount(shared, V_TILE);
  const room = outputs.length > 2 ? CHUNK_BYTES.training : CHUNK_BYTES.scoring;
  const fit = Math.floor(room / ((tiles + teacherTiles) * V_TILE * 4));
  const most = Math.min(MAX_CHUNK, Math.max(MIN_CHUNK, fit));
  const chunk = Math.ceil(Math.ceil(tokens / tileCount(tokens, most)) / 6) * 6;
  const range = tileCount(tiles, MAX_PARTIALS);
  const partials = outputs.length > 2 ? tileCount(tiles, range) : 0;
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

export const jointLossHeadLowering: Lowering = {
  lower(call, memory): KernelCall[] {
    const [hidden, head, teacherHidden, teacherHead, labels] = call.inputs;
    const [ce, kl, dHidden] = call.outputs;
    const { tokens, d, vocabulary, shared, tiles, chunk, range, partials } = shapeOf(call);
    const offsets = workspaceOf(call).at;
    const at = (name: keyof typeof offsets) => memory.workspace + offsets[name];
    const { alpha, temperature: tau } = call.attributes as { alpha: number; temperature: number };
    const teacher = teacherHidden ? 1 : 0;
    const calls: KernelCall[] = [];
    for (let t = 0; t < tokens; t += chunk) {
      const n = Math.min(chunk, tokens - t);
      const label = memory.of(labels) + 4 * t;
      const student = [
        memory.of(hidden) + t * rowBytes(hidden!),
        d,
        memory.of(head),
        dtypeCode(head),
        vocabulary,
      ];
      const other = teacherHidden
        ? [memory.of(teacherHidden) + t * rowBytes(teacherHidden), columns(teacherHidden)]
        : [0, 0];
      const logits = [n, label, ...student, ...other, memory.of(teacherHead), dtypeCode(teacherHead), shared];
      logits.push(1 / tau, at('zs'), at('zt'), at('stats'), tiles);
      calls.push({ kernel: 'joint_loss_logits', tiles, args: logits });
      const rowsArgs = [ROWS_PER_TILE, n, label, at('stats'), tiles, teacher, tau, 1 - alpha, alpha];
      rowsArgs.push(memory.of(ce) + 4 * t, memory.of(kl) + 4 * t, at('factors'));
      calls.push({ kernel: 'joint_loss_rows', tiles: tileCount(n, ROWS_PER_TILE), args: rowsArgs });
      if (!dHidden) continue;
      const weights = [d, memory.of(head), dtypeCode(head), vocabulary, teacher, shared, 1 / tau];
      const gradient = [
        range,
        n,
        label,
        ...weights,
        at('zs'),
        at('zt'),
        at('factors'),
        at('partials'),
        tiles,
      ];
      calls.push({ kernel: 'joint_loss_gradient', tiles: partials, args: gradient });
      const out = memory.of(dHidden) + t * rowBytes(dHidden);
      const reduce = [ROWS_PER_TILE, n, d, at('partials'), partials, out];
      calls.push({ kernel: 'joint_loss_reduce', tiles: tileCount(n, ROWS_PER_TILE), args: reduce });
    }
    return calls;
  },
  workspaceBytes: (call) => workspaceOf(call).bytes,
  scratchBytes: () => BLOCK_SCRATCH_BYTES,
};
