import { excerpt, InputError } from '../base/errors.js';
import type { Encoded } from '../data/examples.js';
import { NO_LABEL, type Row } from '../data/packing/rows.js';
import type { Choices } from '../evaluation/scoring.js';

/*
 * What callers of a model give: checked, because a kernel would read beyond its arrays, and copied, because callers may
 * change it.
 */

type Several<T> = Iterable<T> | AsyncIterable<T>;

/** @param vocabulary rows of the embedding. @throws InputError for what is no list, or holds other ids */
export function checkedIds(ids: ArrayLike<number>, vocabulary: number, name: string): Uint32Array {
  const expected = `ids from 0 to ${vocabulary - 1}, the rows of the model's embedding`;
  return Uint32Array.from(checked(ids, name, expected, (id) => id >= 0 && id < vocabulary));
}

/** @throws InputError for other groups than of a context and what may follow it, of at least one token each */
export function checkedChoices(groups: readonly Choices[], vocabulary: number): Choices[] {
  const some = (ids: ArrayLike<number>, name: string): Uint32Array => {
    const found = checkedIds(ids, vocabulary, name);
    if (found.length > 0) return found;
    throw new InputError(`${name}: expected at least one token, found none`);
  };
  return listOf(groups, 'choices', 'contexts with continuations').map((group, i) => {
    const name = `group ${i + 1}`;
    return {
      context: some(group?.context, `${name}, context`),
      continuations: listOf(group.continuations, name, 'continuations').map((ids, j) =>
        some(ids, `${name}, continuation ${j + 1}`),
      ),
    };
  });
}

/** @throws InputError for an example of other tokens, or not as many marks of what is learned */
export async function* checkedExamples(
  examples: Several<Encoded>,
  vocabulary: number,
): AsyncGenerator<Encoded> {
  let index = 0;
  for await (const example of severalOf(examples, 'examples')) {
    const name = `example ${++index}`;
    const tokens = checkedIds(example?.tokens, vocabulary, name);
    if (example.learned === undefined) yield { tokens };
    else {
      const flags = checked(
        example.learned,
        `${name}, learned`,
        '0 or 1',
        (flag) => flag === 0 || flag === 1,
      );
      yield { tokens, learned: sameLength(Uint8Array.from(flags), tokens, `${name}, learned`) };
    }
  }
}

/** @throws InputError for a row of more than `sequence` tokens, or of others; and for labels and positions that no row has */
export async function* checkedRows(
  rows: Several<Row>,
  { sequence, vocabulary }: { readonly sequence: number; readonly vocabulary: number },
): AsyncGenerator<Row> {
  const labelled = `ids from 0 to ${vocabulary - 1}, or ${NO_LABEL} for none`;
  let index = 0;
  for await (const row of severalOf(rows, 'rows')) {
    const name = `row ${++index}`;
    const tokens = checkedIds(row?.tokens, vocabulary, name);
    if (tokens.length > sequence) {
      throw new InputError(
        `${name}: expected at most ${sequence} tokens, found ${tokens.length}; raise --sequence`,
      );
    }
    const isLabel = (label: number) => label === NO_LABEL || (label >= 0 && label < vocabulary);
    const labels = Int32Array.from(checked(row.labels, `${name}, labels`, labelled, isLabel));
    const isNext = (position: number, before: number | undefined) =>
      position === 0 || (before !== undefined && position === before + 1);
    const places = checked(row.positions, `${name}, positions`, '0, or 1 more than the one before', isNext);
    const positions = Uint32Array.from(places);
    sameLength(labels, tokens, `${name}, labels`);
    sameLength(positions, tokens, `${name}, positions`);
    yield { ...row, tokens, labels, positions };
  }
}

/** A list of whole numbers, each of which fits, given the one before it. */
function checked(
  list: ArrayLike<number>,
  name: string,
  expected: string,
  fits: (value: number, before: number | undefined) => boolean,
): ArrayLike<number> {
  if (!(Number.isInteger(list?.length) && list.length >= 0)) {
    throw new InputError(`${name}: expected a list of ${expected}, found ${excerpt(list)}`);
  }
  for (let i = 0; i < list.length; i++) {
    const value: unknown = list[i];
    if (typeof value === 'number' && Number.isInteger(value) && fits(value, list[i - 1])) continue;
    throw new InputError(`${name}: expected ${expected}, found ${excerpt(value)} at place ${i}`);
  }
  return list;
}

function sameLength<T extends ArrayLike<number>>(list: T, tokens: Uint32Array, name: string): T {
  if (list.length === tokens.length) return list;
  throw new InputError(`${name}: expected one for each of ${tokens.length} tokens, found ${list.length}`);
}

/** Places of a list that hold nothing are looked at, too. @throws InputError for what is no list */
export function listOf<T>(list: readonly T[], name: string, expected: string): T[] {
  if (Array.isArray(list)) return Array.from(list);
  throw new InputError(`${name}: expected a list of ${expected}, found ${excerpt(list)}`);
}

function severalOf<T>(items: Several<T>, expected: string): Several<T> {
  const isIterable = (given: object) => Symbol.iterator in given || Symbol.asyncIterator in given;
  if (isIterable(Object(items))) return items;
  throw new InputError(`expected ${expected} to score, found ${excerpt(items)}`);
}
