import type { Encoded } from '../examples.js';
import type { Span } from './template.js';

/**
 * The ids of a text, with those in spans to be learned. A token that straddles a boundary belongs to what follows it: it
 * is not what the text up to there ends with. So a model that is given the text before a span has to predict all tokens
 * that are learned.
 * @param encode the ids of a text on its own, without special tokens
 * @param spans in order, apart from one another
 */
export function learnedIn(
  text: string,
  spans: readonly Span[],
  encode: (text: string) => Uint32Array,
): Encoded {
  const tokens = encode(text);
  const learned = new Uint8Array(tokens.length);
  // The ids of a part of the text alone would not do: a tokenizer may put a space before it, or join it with its neighbours.
  const tokenAt = (character: number): number =>
    character === text.length ? tokens.length : commonLength(encode(text.slice(0, character)), tokens);
  for (const { start, end } of spans) learned.fill(1, tokenAt(start), tokenAt(end));
  return { tokens, learned };
}

function commonLength(a: Uint32Array, b: Uint32Array): number {
  const different = a.findIndex((id, i) => id !== b[i]);
  return different < 0 ? a.length : different;
}
