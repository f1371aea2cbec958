import { InputError } from '../base/errors.js';
import { BadDocument, type DocumentSource } from './documents.js';
import { type EncodedExample, type Example, fractionOf, isText } from './examples.js';
import { mapDocuments } from './mapDocuments.js';

export interface HeldOutSplit {
  readonly training: DocumentSource;
  readonly evaluation: DocumentSource;
}

/**
 * Holds a part of the text out of training. A single document, or the copies of one, is cut at character
 * floor(length x (1 - fraction)), in UTF-16 units, or at such a token where it is encoded already. Of several documents,
 * whole ones are chosen by a hash of their text, those below the fraction: the choice depends on no order and, among more
 * than a few documents, on no other document, and duplicates stay on one side. Where no hash is below the fraction, the
 * document of the least one is held out; where all are, that of the greatest is left to train on. Each
 * document is held out once, also one of a mixture's source that starts over before the others have ended.
 * @param fraction of the characters or documents to hold out, above 0 and below 1
 * @throws InputError when there is a single document, or copies of one, that can't be cut
 */
export async function holdOut(documents: DocumentSource, fraction: number): Promise<HeldOutSplit> {
  const limit = await limitOf(documents, fraction);
  if (limit === undefined) {
    return {
      training: mapDocuments(documents, ({ example }) => cut(example, fraction)[0]),
      evaluation: once(documents, (example) => cut(example, fraction)[1]),
    };
  }
  const isHeldOut = (example: Example) => fractionOf(example) < limit;
  return {
    training: mapDocuments(documents, ({ example }) => (isHeldOut(example) ? undefined : example)),
    evaluation: once(documents, (example) => (isHeldOut(example) ? example : undefined)),
  };
}

/** Documents with other content, those of the first pass over their source alone. */
const once = (documents: DocumentSource, map: (example: Example) => Example | undefined): DocumentSource =>
  mapDocuments(documents, ({ example, pass }) => (pass === 0 ? map(example) : undefined));

/**
 * The hash below which documents are held out: the fraction, unless it would leave nothing on one side. Reads until there
 * is something on both, which of many documents takes few. Undefined where all documents are one and the same text.
 * @throws InputError where they are one and the same conversation, prompt or query
 */
async function limitOf(documents: DocumentSource, fraction: number): Promise<number | undefined> {
  let [least, greatest, next] = [1, 0, 1];
  let found: Example | undefined;
  for await (const item of documents.read()) {
    if (item instanceof BadDocument) continue;
    const hash = fractionOf(item.example);
    const isFirst = found === undefined;
    if (hash > least) next = Math.min(next, hash);
    else if (hash < least) [least, next] = [hash, isFirst ? next : least];
    greatest = isFirst ? hash : Math.max(greatest, hash);
    found = item.example;
    if (least < fraction && greatest >= fraction) return fraction;
  }
  if (found === undefined) return fraction;
  if (least !== greatest) return greatest < fraction ? greatest : next;
  if (isText(found)) return undefined;
  throw new InputError(
    'expected several conversations, prompts or queries to hold some out, found one; give more, or --eval-fraction 0',
  );
}

/** The first part and the rest of a text. */
function cut(example: Example, fraction: number): [Example, Example] {
  if (typeof example === 'string') {
    const at = cutOf(example, fraction);
    return [example.slice(0, at), example.slice(at)];
  }
  const encoded = example as EncodedExample;
  const { tokens } = encoded;
  const at = Math.floor(tokens.length * (1 - fraction));
  return [
    { ...encoded, tokens: tokens.slice(0, at) },
    { ...encoded, tokens: tokens.slice(at) },
  ];
}

/** Never between the two halves of a surrogate pair. */
function cutOf(text: string, fraction: number): number {
  const cut = Math.floor(text.length * (1 - fraction));
  const isPairCut = cut > 0 && text.codePointAt(cut - 1)! > 0xffff;
  return isPairCut ? cut - 1 : cut;
}
