import { InputError } from '../../base/errors.js';
import { type Bos, beginningOf, textTokens } from '../../data/encoding.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { rightStripped } from './pythonText.js';

export type TaskTokenizer = Pick<
  Tokenizer,
  'encode' | 'encodePieces' | 'before' | 'bosId' | 'eosId' | 'tokenOf'
>;

/** Ids of a context, and of what is scored behind it. */
export interface EncodedPair {
  readonly context: Uint32Array;
  readonly continuation: Uint32Array;
}

/** How texts of tasks become ids. */
export interface TaskEncoder {
  /** Of a text from its beginning: BOS as it was asked for, unless the text itself begins with the BOS token. */
  encode(text: string): Uint32Array;
  /**
   * A continuation is what the ids of both texts together have after as many ids as the context alone has. White space at
   * the end of the context belongs to the continuation. Behind an empty context stands BOS, or EOS of a tokenizer without.
   * @throws InputError when no ids are left for the continuation, or there is nothing to put before it
   */
  pair(context: string, continuation: string): EncodedPair;
  /** The text of the EOS token, if there is one. */
  readonly endOfText: readonly string[];
}

/** @throws InputError when BOS is requested from a tokenizer without one */
export function taskEncoder(tokenizer: TaskTokenizer, bos: Bos): TaskEncoder {
  const before = beginningOf(tokenizer, bos);
  const { eosId } = tokenizer;
  // A tokenizer without a config names no BOS, but may put one before a text.
  const bosId = tokenizer.bosId ?? tokenizer.before[0];
  const bosText = bosId === undefined ? undefined : tokenizer.tokenOf(bosId);
  const nothing = new Uint32Array(0);
  let last: { readonly text: string; readonly ids: Uint32Array } | undefined;
  const encode = (text: string): Uint32Array => {
    const hasOwn = bosText !== undefined && text.startsWith(bosText);
    return textTokens(tokenizer, text, hasOwn ? nothing : before, false);
  };
  /** The choices of an item have one context. */
  const encodeContext = (text: string): Uint32Array => {
    if (last?.text !== text) last = { text, ids: encode(text) };
    return last.ids;
  };
  const pairOf = (context: string, continuation: string): EncodedPair => {
    if (context === '')
      return afterNothing(tokenizer.encode(continuation, { addSpecialTokens: false }), bosId ?? eosId);
    const kept = rightStripped(context);
    const ids = encodeContext(kept);
    return { context: ids, continuation: encode(context + continuation).subarray(ids.length) };
  };
  return {
    encode,
    endOfText: eosId === undefined ? [] : [tokenizer.tokenOf(eosId)!],
    pair(context, continuation) {
      const pair = pairOf(context, continuation);
      if (pair.context.length > 0 && pair.continuation.length > 0) return pair;
      const [what, where] =
        pair.context.length === 0 ? ['a context', 'before'] : ['a continuation', 'behind'];
      throw new InputError(
        `expected ${what} with a token, found none ${where} the other part; mend the item`,
      );
    },
  };
}

/** A continuation that itself begins with the prefix goes without another one. */
function afterNothing(ids: Uint32Array, prefix: number | undefined): EncodedPair {
  if (prefix === undefined) return { context: new Uint32Array(0), continuation: ids };
  if (ids[0] === prefix) return { context: ids.subarray(0, 1), continuation: ids.subarray(1) };
  return { context: Uint32Array.of(prefix), continuation: ids };
}
