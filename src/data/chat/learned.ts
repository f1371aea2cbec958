import type { Encoded } from '../examples.js';
import type { Tokenizer } from '../tokenizer.js';
import type { Span } from './span.js';

/** A tokenizer that may know where added tokens are: they cut a text. */
export type TurnTokenizer = Pick<Tokenizer, 'encode'> & Partial<Pick<Tokenizer, 'encodePieces'>>;

/**
 * The ids of a text, with those in spans to be learned. A token that straddles a boundary belongs to what follows it: it
 * is not what the text up to there ends with. So a model that is given the text before a span has to predict all tokens
 * that are learned.
 * @param spans in order, apart from one another
 */
export function learnedIn(text: string, spans: readonly Span[], tokenizer: TurnTokenizer): Encoded {
  const { tokens, restarts } = encoded(text, tokenizer);
  const learned = new Uint8Array(tokens.length);
  let next = 0;
  // The ids of a part of the text alone would not do: a tokenizer may put a space before it, or join it with its neighbours.
  const tokenAt = (character: number): number => {
    if (character === text.length) return tokens.length;
    while (next < restarts.length && restarts[next]!.end <= character) next++;
    const { start, token } = restarts[next - 1] ?? { start: 0, token: 0 };
    const before = tokenizer.encode(text.slice(start, character), { addSpecialTokens: false });
    return token + commonLength(before, tokens.subarray(token));
  };
  for (const { start, end } of spans) learned.fill(1, tokenAt(start), tokenAt(end));
  return { tokens, learned };
}

/** An added token. The text up to anywhere behind its end has the same ids as all of the text, as far as here. */
interface Restart {
  readonly start: number;
  readonly end: number;
  /** Its number among the ids. */
  readonly token: number;
}

function encoded(text: string, tokenizer: TurnTokenizer) {
  const pieces = tokenizer.encodePieces?.(text);
  if (!pieces) return { tokens: tokenizer.encode(text, { addSpecialTokens: false }), restarts: [] };
  const tokens = new Uint32Array(pieces.reduce((sum, piece) => sum + piece.tokens.length, 0));
  const restarts: Restart[] = [];
  let count = 0;
  for (const { start, end, tokens: ids, isAdded } of pieces) {
    if (isAdded) restarts.push({ start, end, token: count });
    tokens.set(ids, count);
    count += ids.length;
  }
  return { tokens, restarts };
}

function commonLength(a: Uint32Array, b: Uint32Array): number {
  const different = a.findIndex((id, i) => id !== b[i]);
  return different < 0 ? a.length : different;
}
