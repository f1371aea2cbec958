import { z } from 'zod';
import { InputError } from '../../base/errors.js';

/** What hidden states depend on besides the tokens of a piece. */
export const identitySchema = z.strictObject({
  format: z.literal(1),
  /** Hash of the teacher's weights and config. */
  teacher: z.string(),
  /** Fingerprint of the tokenizer. */
  tokenizer: z.string(),
  /** N: documents are cut at multiples of it from their own start. */
  sequence: z.int().min(1),
  /** D: numbers of a hidden state. */
  width: z.int().min(1),
  dtype: z.enum(['f32', 'bf16']),
  /** The kernels that computed them: those of another kind round otherwise. */
  kernels: z.string(),
});

export type CacheIdentity = Readonly<z.infer<typeof identitySchema>>;
export type CacheDtype = CacheIdentity['dtype'];

/** Bytes of a token's hidden state. */
export const bytesPerToken = ({ width, dtype }: CacheIdentity): number => width * (dtype === 'f32' ? 4 : 2);

const LABELS: Readonly<Record<keyof CacheIdentity, string>> = {
  format: 'format',
  teacher: 'teacher (hash)',
  tokenizer: 'tokenizer (hash)',
  sequence: '--sequence',
  width: 'width',
  dtype: '--teacher-cache-dtype',
  kernels: 'kernels',
};

/** Of hashes, as much as tells them apart. */
const shown = (value: unknown): string => String(value).slice(0, 16);

/**
 * @param path what was found in, for messages
 * @throws InputError naming the first thing that is not as expected
 */
export function checkIdentity(path: string, found: CacheIdentity, expected: CacheIdentity): void {
  const names = Object.keys(LABELS) as (keyof CacheIdentity)[];
  const other = names.find((name) => found[name] !== expected[name]);
  if (other === undefined) return;
  throw new InputError(
    `${path}: expected hidden states of ${LABELS[other]} ${shown(expected[other])}, found those of ` +
      `${shown(found[other])}; give what the cache was filled with, or another folder`,
  );
}
