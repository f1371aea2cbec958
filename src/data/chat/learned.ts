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
  let from: Boundary = { character: 0, token: 0 };
  const advance = (character: number): Boundary => {
    from = { character, token: tokenAt(text, tokens, from, character, encode) };
    return from;
  };
  for (const { start, end } of spans) {
    const first = advance(start).token;
    learned.fill(1, first, advance(end).token);
  }
  return { tokens, learned };
}

interface Boundary {
  readonly character: number;
  readonly token: number;
}

/**
 * Of the tokens of a text, how many the text up to a boundary has in common with it. Mostly what lies between two
 * boundaries has the same ids on its own, which costs time linear in its length; otherwise all before is read again.
 */
function tokenAt(
  text: string,
  tokens: Uint32Array,
  from: Boundary,
  character: number,
  encode: (text: string) => Uint32Array,
): number {
  if (character === text.length) return tokens.length;
  const piece = encode(text.slice(from.character, character));
  if (commonLength(piece, tokens.subarray(from.token)) === piece.length) return from.token + piece.length;
  return Math.max(from.token, commonLength(encode(text.slice(0, character)), tokens));
}

function commonLength(a: Uint32Array, b: Uint32Array): number {
  const different = a.findIndex((id, i) => id !== b[i]);
  return different < 0 ? a.length : different;
}
