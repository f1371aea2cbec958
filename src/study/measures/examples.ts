import { Problem } from '../../data/documents/problems.js';
import { BadDocument, openDocuments } from '../../data/documents.js';
import { encodedCompletion, encodedOrBad } from '../../data/encoding.js';
import type { Encoded, Example } from '../../data/examples.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import type { Model } from '../../inference/model.js';
import { textOptions } from '../../prepare/locateText.js';

/**
 * The prompts with completions of a file, encoded: what the tokenizer puts before a text, and both as one text. No EOS
 * follows: a completion is where a longer text may go on.
 * @throws InputError for a record that is none, or can't be read
 */
export async function readExamples(path: string, tokenizer: Tokenizer): Promise<Encoded[]> {
  const encode = (example: Example) => {
    if (typeof example === 'object' && 'prompt' in example) {
      return encodedCompletion(tokenizer, example, tokenizer.before, false);
    }
    throw new Problem('expected a prompt and its completion, found something else; delete the record');
  };
  const documents = await openDocuments(textOptions({ onBadDocument: 'stop' }, [path]));
  const examples: Encoded[] = [];
  for await (const item of documents.read()) {
    const encoded = item instanceof BadDocument ? item : encodedOrBad(encode, item);
    if (encoded instanceof BadDocument) throw encoded;
    examples.push(encoded);
  }
  return examples;
}

/** Slots of the longest example: its last token is only predicted. */
export const longestExample = (examples: readonly Encoded[]): number =>
  examples.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), 1);

/** The share of examples whose completion is what greedy decoding gives. */
export async function exactMatch(
  model: Model,
  examples: readonly Encoded[],
  signal?: AbortSignal,
): Promise<number> {
  const scores = await model.continuations(examples, { signal });
  return scores.filter(({ isGreedy }) => isGreedy).length / scores.length;
}
