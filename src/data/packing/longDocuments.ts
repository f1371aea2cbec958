import { type Encoded, type Example, isText } from '../examples.js';

/** What becomes of a document of more than N pairs: all of it in pieces, or its first N. */
export type LongDocuments = 'split' | 'truncate';

/** Text goes on anywhere; an answer without its question teaches nothing. */
export const longDocumentsOf = (example: Example): LongDocuments => (isText(example) ? 'split' : 'truncate');

/** The first `sequence` pairs of a document. */
export function truncated(encoded: Encoded, sequence: number): Encoded {
  const { tokens, learned } = encoded;
  if (tokens.length <= sequence + 1) return encoded;
  return { tokens: tokens.subarray(0, sequence + 1), learned: learned?.subarray(0, sequence + 1) };
}

/**
 * What is wrong with a document of which no token is to be learned; undefined otherwise.
 * @param most pairs of it that are used
 */
export function nothingToLearn({ tokens, learned }: Encoded, most: number): string | undefined {
  if (tokens.length < 2) return `expected two tokens or more, found ${tokens.length}; leave it out`;
  if (!learned) return undefined;
  const before = learned.indexOf(1, 1);
  if (before === -1) return `expected a token to learn, found none among ${tokens.length}; leave it out`;
  if (before <= most) return undefined;
  return `expected a learned token within --sequence ${most}, found the first after ${before} tokens; raise --sequence`;
}
