import fc from 'fast-check';
import type { DocumentSource, Place } from '#src/data/documents.js';
import type { Encode } from '#src/data/encoding.js';
import type { Encoded, EncodedExample } from '#src/data/examples.js';
import { type Cursor, NO_LABEL, type Row, type RowStream } from '#src/data/packing.js';

/** Documents that are encoded already, in memory. */
export function sourceOf(examples: readonly Encoded[]): DocumentSource {
  const placeOf = (pass: number, index: number | undefined): Place => ({
    files: ['memory'],
    sources: [
      {
        ...{ pass, file: 0, content: 'memory' },
        at: index === undefined ? null : { index, byteOffset: 0, line: index + 1 },
      },
    ],
    taken: [0],
  });
  const start = placeOf(0, undefined);
  return {
    start,
    async *read(place = start) {
      const { pass, at } = place.sources[0]!;
      for (let i = at?.index ?? 0; i < examples.length; i++) {
        const example: EncodedExample = { ...examples[i]!, bytes: 1, fraction: 0.5 };
        yield { id: `memory:${i + 1}`, example, place: placeOf(pass, i), pass };
      }
      return placeOf(pass + 1, undefined);
    },
  };
}

/** Gives an encoded document as it is. */
export const encode: Encode = (example) => example as EncodedExample;

/** Documents without two tokens alike, so that a pair (input, label) tells where it is from. */
export function numbered(lengths: readonly number[], masks: readonly (Uint8Array | undefined)[]): Encoded[] {
  let next = 1;
  return lengths.map((length, i) => {
    const tokens = Uint32Array.from({ length }, () => next++);
    const mask = masks[i];
    return mask ? { tokens, learned: Uint8Array.from(tokens, (_, t) => mask[t % mask.length]!) } : { tokens };
  });
}

/** Documents of 0 to `longest` tokens, some of them with masks. */
export const documentsUpTo = (longest: number): fc.Arbitrary<Encoded[]> =>
  fc
    .array(
      fc.record({
        length: fc.integer({ min: 0, max: longest }),
        mask: fc.option(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 12 }), {
          nil: undefined,
        }),
      }),
      { minLength: 1, maxLength: 25 },
    )
    .map((all) =>
      numbered(
        all.map(({ length }) => length),
        all.map(({ mask }) => mask && Uint8Array.from(mask)),
      ),
    );

/** The first rows of a stream, and the cursors before the first and after each, as a checkpoint has them. */
export async function record(stream: RowStream, limit: number): Promise<{ rows: Row[]; cursors: Cursor[] }> {
  const rows: Row[] = [];
  const cursors = [stream.cursor];
  while (rows.length < limit) {
    const row = await stream.next();
    if (!row) break;
    rows.push(row);
    cursors.push(JSON.parse(JSON.stringify(stream.cursor)));
  }
  return { rows, cursors };
}

/** `input>label` of the slots of a row that are learned. */
export const learnedPairsIn = ({ tokens, labels }: Row): string[] =>
  Array.from(tokens, (token, t) => `${token}>${labels[t]}`).filter((_, t) => labels[t] !== NO_LABEL);

/** The same of a document, of its first pairs. */
export const learnedPairsOf = ({ tokens, learned }: Encoded, most = Number.POSITIVE_INFINITY): string[] =>
  Array.from(tokens.subarray(1), (label, t) => `${tokens[t]}>${label}`).filter(
    (_, t) => t < most && learned?.[t + 1] !== 0,
  );

/** The pieces of a row: first slot and length of each. */
export function piecesIn({ positions, filled }: Row): { first: number; length: number }[] {
  const pieces: { first: number; length: number }[] = [];
  for (let t = 0; t < filled; t++) {
    if (positions[t] === 0) pieces.push({ first: t, length: 1 });
    else pieces.at(-1)!.length++;
  }
  return pieces;
}
