import { excerpt } from '../../base/errors.js';
import type { DatasetOptions } from '../../hub/dataset.js';
import { resolveModel } from '../../hub/resolveModel.js';
import { sharedTokenizer } from '../tokenizer/shared.js';
import type { Tokenizer } from '../tokenizer.js';
import { Problem } from './problems.js';

/** Documents that are published as token ids of some model: they are read as the text that the ids stand for. */

/** The column that such data sets have, by the habit of transformers. */
export const IDS_COLUMN = 'input_ids';

/** The text of ids. @throws Problem for what is no id of the tokenizer, and where there is none */
export type DecodeIds = (ids: readonly unknown[]) => string;

/**
 * The tokenizer that ids were made with.
 * @param model a folder, or a name on the Hub
 * @throws InputError, RunError as `resolveModel` and `loadTokenizer` do
 */
export async function idsTokenizer(model: string, { environment }: DatasetOptions = {}): Promise<Tokenizer> {
  const { folder } = await resolveModel(model, { kind: 'tokenizer', ...(environment && { environment }) });
  return sharedTokenizer(folder);
}

/** Special tokens, such as the BOS of each document, are no text. @param name of the tokenizer's model, for messages */
export function idsDecoder(tokenizer: Tokenizer, name: string): DecodeIds {
  return (ids) => {
    if (ids.length === 0) throw new Problem('expected token ids, found none; delete the record');
    const wrong = ids.findIndex((id) => typeof id !== 'number' || tokenizer.tokenOf(id) === undefined);
    if (wrong >= 0) throw noId(ids[wrong], wrong, tokenizer, name);
    return tokenizer.decode(ids as readonly number[], { skipSpecialTokens: true });
  };
}

function noId(found: unknown, at: number, { vocabularySize }: Tokenizer, name: string): Problem {
  return new Problem(
    `expected token ids of ${name}, from 0 to ${vocabularySize - 1}, found ${excerpt(found ?? null)} as number ${at}; ` +
      'give the model that the ids were made with as --ids-tokenizer',
  );
}

/** A list of ids, which no list of messages is. */
export const isIds = (value: unknown): value is readonly unknown[] =>
  Array.isArray(value) && (value.length === 0 || typeof value[0] !== 'object' || value[0] === null);

/** Ids where nobody said whose they are. @param column undefined where the columns decide */
export const idsOfNobody = (column = IDS_COLUMN): Problem =>
  new Problem(
    `expected a text or messages, found token ids in column "${column}"; give the model that they were made with as ` +
      '--ids-tokenizer',
  );
