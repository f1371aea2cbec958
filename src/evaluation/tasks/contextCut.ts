import { InputError } from '../../base/errors.js';
import type { EncodedPair } from './encodePair.js';

/**
 * Cuts a context from the left so that a model of `positions` positions can read all but the last id of the pair, which is
 * only predicted: of both together at most positions + 1 ids are left. A cut takes BOS too; nothing is put in its place.
 * @throws InputError for a continuation that is longer than the model
 */
export function cutToScore({ context, continuation }: EncodedPair, positions: number): EncodedPair {
  if (continuation.length > positions) {
    throw new InputError(
      `expected a continuation of at most ${positions} tokens, the model's positions, found ${continuation.length}; ` +
        'take a model with more, or leave the item out',
    );
  }
  const most = positions + 1 - continuation.length;
  return { context: context.subarray(Math.max(0, context.length - most)), continuation };
}

/**
 * Cuts a prompt from the left so that the model has room for an answer behind it.
 * @throws InputError when the answer alone would take all positions
 */
export function cutToWrite(prompt: Uint32Array, positions: number, maxTokens: number): Uint32Array {
  if (maxTokens >= positions) {
    throw new InputError(
      `--max-tokens: expected less than ${positions}, the model's positions, so that a prompt fits, found ${maxTokens}; lower it`,
    );
  }
  return prompt.subarray(Math.max(0, prompt.length - (positions - maxTokens)));
}
