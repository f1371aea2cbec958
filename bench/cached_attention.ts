import { cachedAttention } from '#src/program/ops/cached_attention.js';
import type { OpBench, Sizes } from './measure.js';

/** One token, and a row of them, after a row that is cached. */
export function cachedAttentionBenches({ sequence, heads, keyValueHeads, headDim }: Sizes): OpBench[] {
  return [1, sequence].map((length) => ({
    contents: {
      cached: Uint32Array.of(sequence),
      positions: Uint32Array.from({ length }, (_, i) => sequence + i),
    },
    label: `cached_attention ${length} after ${sequence} x ${heads}/${keyValueHeads} x ${headDim}`,
    build: (b) => {
      const narrow = (name: string, rows: number, role: 'input' | 'state') =>
        b.value(role, name, [rows, keyValueHeads * headDim]);
      const qkv = {
        q: b.value('input', 'q', [length, heads * headDim]),
        k: narrow('k', length, 'input'),
        v: narrow('v', length, 'input'),
      };
      const held = {
        keys: narrow('keys', sequence, 'state'),
        values: narrow('values', sequence, 'state'),
        cached: b.value('input', 'cached', [1], 'u32'),
      };
      const shape = { sequence: length, heads, keyValueHeads, headDim };
      cachedAttention(b, qkv, b.value('input', 'positions', [length], 'u32'), held, shape);
    },
  }));
}
