import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../errors.js';
import { BadDocument, type DocumentSource, type Place } from './documents.js';

export interface HeldOutSplit {
  readonly training: DocumentSource;
  readonly evaluation: DocumentSource;
}

/**
 * Holds a part of the text out of training. A single document is cut at character floor(length x (1 - fraction)), in
 * UTF-16 units. Of several documents, whole ones are chosen by a hash of their text: the choice depends on no order
 * and no other document, and duplicates stay on one side.
 * @param fraction of the characters or documents to hold out, above 0 and below 1
 * @throws InputError while either part is read, when no document falls into it
 */
export async function holdOut(documents: DocumentSource, fraction: number): Promise<HeldOutSplit> {
  if (await isSingle(documents)) {
    return {
      training: mapTexts(documents, (text) => text.slice(0, cutOf(text, fraction))),
      evaluation: mapTexts(documents, (text) => text.slice(cutOf(text, fraction))),
    };
  }
  const isHeldOut = (text: string) => contentFraction(text) < fraction;
  return {
    training: requireSome(
      mapTexts(documents, (text) => (isHeldOut(text) ? undefined : text)),
      `documents to train on, found all of them held out by --eval-fraction ${fraction}; lower it`,
    ),
    evaluation: requireSome(
      mapTexts(documents, (text) => (isHeldOut(text) ? text : undefined)),
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

/** The documents with other texts; those mapped to undefined are left out. */
function mapTexts(documents: DocumentSource, map: (text: string) => string | undefined): DocumentSource {
  return {
    start: documents.start,
    async *read(place) {
      const items = documents.read(place);
      try {
        for (;;) {
          const { done, value } = await items.next();
          if (done) return value;
          const text = value instanceof BadDocument ? undefined : map(value.text);
          if (value instanceof BadDocument) yield value;
          else if (text !== undefined) yield { ...value, text };
        }
      } finally {
        await close(items);
      }
    },
  };
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

/** Ends a stream that may have more. */
const close = (items: AsyncGenerator<unknown, Place>): Promise<unknown> => items.return(undefined as never);

/** Never between the two halves of a surrogate pair. */
function cutOf(text: string, fraction: number): number {
  const cut = Math.floor(text.length * (1 - fraction));
  const isPairCut = cut > 0 && text.codePointAt(cut - 1)! > 0xffff;
  return isPairCut ? cut - 1 : cut;
}

/** A hash of the text, uniform in [0, 1). */
function contentFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
