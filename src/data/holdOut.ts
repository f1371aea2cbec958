import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../base/errors.js';
import { BadDocument, type DocumentSource } from './documents.js';
import { type Example, fractionOf } from './examples.js';
import { close, mapDocuments } from './mapDocuments.js';

export interface HeldOutSplit {
  readonly training: DocumentSource;
  readonly evaluation: DocumentSource;
}

/**
 * Holds a part of the text out of training. A single document is cut at character floor(length x (1 - fraction)), in
 * UTF-16 units, or at such a token where it is encoded already. Of several documents, whole ones are chosen by a hash of their text: the choice depends on no order
 * and no other document, and duplicates stay on one side.
 * @param fraction of the characters or documents to hold out, above 0 and below 1
 * @throws InputError while either part is read, when no document falls into it or a single one can't be cut
 */
export async function holdOut(documents: DocumentSource, fraction: number): Promise<HeldOutSplit> {
  if (await isSingle(documents)) {
    return {
      training: mapDocuments(documents, ({ example }) => cut(example, fraction)[0]),
      evaluation: mapDocuments(documents, ({ example }) => cut(example, fraction)[1]),
    };
  }
  const isHeldOut = (example: Example) => fractionOf(example) < fraction;
  return {
    training: requireSome(
      mapDocuments(documents, ({ example }) => (isHeldOut(example) ? undefined : example)),
      `documents to train on, found all of them held out by --eval-fraction ${fraction}; lower it`,
    ),
    evaluation: requireSome(
      mapDocuments(documents, ({ example }) => (isHeldOut(example) ? example : undefined)),
      `held-out documents, found none at --eval-fraction ${fraction}; raise it or give --eval-data`,
    ),
  };
}

async function isSingle(documents: DocumentSource): Promise<boolean> {
  let count = 0;
  for await (const item of documents.read()) {
    if (!(item instanceof BadDocument) && ++count === 2) return false;
  }
  return count === 1;
}

function requireSome(documents: DocumentSource, expected: string): DocumentSource {
  const { start } = documents;
  return {
    start,
    async *read(place = start) {
      let found = !isDeepStrictEqual(place, start);
      const items = documents.read(place);
      try {
        for (;;) {
          const { done, value } = await items.next();
          if (done && !found) throw new InputError(`expected ${expected}`);
          if (done) return value;
          found ||= !(value instanceof BadDocument);
          yield value;
        }
      } finally {
        await close(items);
      }
    },
  };
}

/** An example's first part and the rest. */
function cut(example: Example, fraction: number): [Example, Example] {
  if (typeof example === 'string') {
    const at = cutOf(example, fraction);
    return [example.slice(0, at), example.slice(at)];
  }
  if (!('tokens' in example)) {
    throw new InputError(
      'expected several conversations to hold some out, found one; give more, or --eval-fraction 0',
    );
  }
  const { tokens, learned } = example;
  const at = Math.floor(tokens.length * (1 - fraction));
  return [
    { ...example, tokens: tokens.slice(0, at), learned: learned?.slice(0, at) },
    { ...example, tokens: tokens.slice(at), learned: learned?.slice(at) },
  ];
}

/** Never between the two halves of a surrogate pair. */
function cutOf(text: string, fraction: number): number {
  const cut = Math.floor(text.length * (1 - fraction));
  const isPairCut = cut > 0 && text.codePointAt(cut - 1)! > 0xffff;
  return isPairCut ? cut - 1 : cut;
}
