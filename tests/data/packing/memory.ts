import fc from 'fast-check';
import { BadDocument, type DocumentSource, type Place } from '#src/data/documents.js';
import type { Example } from '#src/data/examples.js';
import { type Cursor, NO_LABEL, type Row, RowStream, type RowStreamOptions } from '#src/data/packing.js';

/** Documents in memory: ids that are unique over all of them, so that a pair shows where it is from. */

export interface Made {
  readonly tokens: number;
  /** The share of tokens that are learned, in thirds: 0 to 2; 3 where there is no mask. */
  readonly learned: number;
  readonly isBad: boolean;
}

const placeOf = (epoch: number, index: number | null): Place => ({
  files: ['memory'],
  sources: [
    {
      ...{ pass: epoch, file: 0, content: '' },
      at: index === null ? null : { index, byteOffset: index, line: index + 1 },
    },
  ],
  taken: [],
});

/** A source of examples; a string is what is wrong with a document, told in the first epoch. */
export const sourceOf = (items: readonly (Exclude<Example, string> | string)[]): DocumentSource => ({
  start: placeOf(0, null),
  async *read({ sources: [from] } = placeOf(0, null)) {
    const { pass, at } = from!;
    for (let i = at?.index ?? 0; i < items.length; i++) {
      const example = items[i]!;
      const id = `memory:${i}`;
      if (typeof example !== 'string')
        yield { id, example, place: placeOf(pass, i), number: [0, 0, i], pass };
      else if (pass === 0) yield new BadDocument(`${id}: ${example}`);
    }
    return placeOf(pass + 1, null);
  },
});

export function encodedExamples(made: readonly Made[]) {
  let next = 1;
  return made.map(({ tokens, learned, isBad }, d) => {
    if (isBad) return 'bad';
    const ids = Uint32Array.from({ length: tokens }, () => next++);
    const mask = Uint8Array.from({ length: tokens }, (_, i) => ((i * 7 + d) % 3 < learned ? 1 : 0));
    return { tokens: ids, ...(learned === 3 ? {} : { learned: mask }), bytes: tokens, fraction: 0 };
  });
}

export type MadeExample = ReturnType<typeof encodedExamples>[number];

export const documents: fc.Arbitrary<MadeExample[]> = fc
  .array(
    fc.record({
      tokens: fc.integer({ min: 0, max: 30 }),
      learned: fc.integer({ min: 0, max: 3 }),
      isBad: fc.nat(9).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map(encodedExamples);

export const options: fc.Arbitrary<Omit<RowStreamOptions, 'repeat'>> = fc.record({
  sequence: fc.integer({ min: 1, max: 12 }),
  blockRows: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
  packing: fc.constantFrom('stream', 'best-fit'),
  longDocuments: fc.constantFrom('split', 'truncate', undefined),
});

/** Examples are encoded already. */
export const streamOf = (items: readonly MadeExample[], options: RowStreamOptions, cursor?: Cursor) =>
  new RowStream(sourceOf(items), (example) => example as Exclude<MadeExample, string>, options, cursor);

export interface Recorded {
  readonly rows: Row[];
  /** Before the first row and after each, as a checkpoint would save them. */
  readonly cursors: Cursor[];
}

export async function record(stream: RowStream, limit = Number.POSITIVE_INFINITY): Promise<Recorded> {
  const rows: Row[] = [];
  const cursors = [stream.cursor];
  while (rows.length < limit) {
    const row = await stream.next();
    if (!row) break;
    rows.push(row);
    cursors.push(JSON.parse(JSON.stringify(stream.cursor)) as Cursor);
  }
  return { rows, cursors };
}

/** The pieces of a row, as ids of their inputs. */
export function piecesIn({ tokens, positions, filled }: Row): number[][] {
  const pieces: number[][] = [];
  for (let t = 0; t < filled; t++) {
    if (positions[t] === 0) pieces.push([]);
    pieces.at(-1)!.push(tokens[t]!);
  }
  return pieces;
}

/** The learned pairs of a row, as input>label. */
export const pairsIn = ({ tokens, labels }: Row): string[] =>
  Array.from(labels, (label, t) => `${tokens[t]}>${label}`).filter((_, t) => labels[t] !== NO_LABEL);
