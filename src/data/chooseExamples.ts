import { InputError } from '../base/errors.js';
import { BadDocument, type Document, type DocumentSource } from './documents.js';
import { fractionOf } from './examples.js';
import { mapDocuments } from './mapDocuments.js';
import { randomStream } from './random.js';

/** Where a document stands in a seeded shuffle of all; of equal ones, the first one read stands first. */
type Standing = readonly [draw: number, source: number, file: number, index: number];

/** The first documents of a seeded shuffle: all up to one of them. Plain JSON. */
export interface ExampleChoice {
  readonly seed: number;
  readonly last: Standing;
}

interface ChoiceHooks {
  /** Called with the number of documents read so far, and waited for. */
  readonly onFound?: (documents: number) => Promise<void>;
  /** What to say when there are fewer than wanted. */
  readonly tooFew?: (found: number, wanted: number) => string;
}

/**
 * Finds the first `count` documents of a seeded shuffle. Each document's standing is drawn from the seed and what it
 * holds: fewer documents are always among more of them, and neither the order of the text nor how it is shared out to
 * files or token shards changes which they are. Reads all documents once; memory is bounded by `count`.
 * @param count at least 1
 * @throws InputError when there are fewer
 */
export async function chooseExamples(
  documents: DocumentSource,
  count: number,
  seed: number,
  { onFound = async () => {}, tooFew = tooFewToTrain }: ChoiceHooks = {},
): Promise<ExampleChoice> {
  let found = 0;
  let first: Standing[] = [];
  const keepFirst = () => {
    first = first.sort(compare).slice(0, count);
  };
  for await (const item of documents.read()) {
    // A source of a mixture may start over before the others have ended.
    if (item instanceof BadDocument || item.pass > 0) continue;
    await onFound(++found);
    first.push(standingOf(item, seed));
    if (first.length >= 2 * count + SPARE) keepFirst();
  }
  keepFirst();
  if (found >= count) return { seed, last: first.at(-1)! };
  throw new InputError(tooFew(found, count));
}

const tooFewToTrain = (found: number, wanted: number): string =>
  `--examples: expected at most ${found}, which is all that there is to train on, found ${wanted}; lower it, or give more text`;

/** Standings beyond those needed, so that few are sorted often. */
const SPARE = 1024;

/** The documents that were chosen, in the order of the text. */
export const chosenExamples = (documents: DocumentSource, { seed, last }: ExampleChoice): DocumentSource =>
  mapDocuments(documents, (document) =>
    compare(standingOf(document, seed), last) <= 0 ? document.example : undefined,
  );

function standingOf({ example, number }: Document, seed: number): Standing {
  const draw = randomStream(seed, fractionOf(example) * 2 ** 48);
  return [draw(0) + draw(1) / 2 ** 32, ...number];
}

function compare(a: Standing, b: Standing): number {
  const i = a.findIndex((value, at) => value !== b[at]);
  return i < 0 ? 0 : a[i]! - b[i]!;
}
