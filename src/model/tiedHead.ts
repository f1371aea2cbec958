import { warnOnce } from '../base/warnings.js';
import { DTYPE_BYTES, type TensorInfo, tensorChunks } from '../formats/safetensors.js';
import { isFloat, toFloat32 } from '../formats/tensors/floats.js';
import type { ModelConfig } from './config.js';
import { EMBEDDING, HEAD } from './weights.js';

interface Parts {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * Whether embedding and head are one, where the config says so (`tie_word_embeddings`): the files have the last word.
 * One of the two stands for both; two of the same values are one; two of other values stay two, which is said. Source:
 * `tie_weights` of transformers 5. Both are read only where both are there.
 */
export function withHead(folder: string, { config, tensors }: Parts): Parts {
  const [embedding, head] = [tensors.get(EMBEDDING), tensors.get(HEAD)];
  if (!config.tiedEmbeddings || !head) return { config, tensors };
  if (!embedding) return { config, tensors: new Map([...tensors, [EMBEDDING, head]]) };
  const isAlike = isFloat(head.dtype) && String(head.shape) === String(embedding.shape);
  if (isAlike && isEqual(embedding, head)) return { config, tensors };
  if (isAlike) {
    warnOnce(
      `${folder}: config.json ties ${HEAD} to ${EMBEDDING}, but the files have both with different values: both are ` +
        'used, as they are; set tie_word_embeddings to false in config.json to say so',
    );
  }
  return { config: { ...config, tiedEmbeddings: false }, tensors };
}

/** Whether two tensors of one shape hold the same numbers, whatever their types. */
function isEqual(a: TensorInfo, b: TensorInfo): boolean {
  for (const { first, bytes } of tensorChunks(a)) {
    const count = bytes.length / DTYPE_BYTES[a.dtype];
    for (const other of tensorChunks(b, first, first + count)) {
      if (a.dtype === b.dtype && Buffer.compare(bytes, other.bytes) === 0) continue;
      if (!isFloat(a.dtype) || !isFloat(b.dtype)) return false;
      const [x, y] = [toFloat32(a.dtype, bytes), toFloat32(b.dtype, other.bytes)];
      if (x.some((value, i) => value !== y[i])) return false;
    }
  }
  return true;
}
