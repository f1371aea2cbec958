import type { SchemaTree } from 'hyparquet';
import type { Entry, Leaf } from './nested.js';

/** Columns of lists of whole numbers, as token ids are published. */

const VALUE_BYTES: Partial<Record<string, 4 | 8>> = { INT32: 4, INT64: 8 };

/** A column of whole numbers in lists. */
export interface IdsLeaf extends Leaf {
  /** From which definition level on a list has an element. */
  readonly elementLevel: number;
}

/** Where the numbers of a column are; undefined where it is no list of whole numbers, or in another list. @param path from the root on */
export function idsLeaf(path: readonly SchemaTree[]): IdsLeaf | undefined {
  const whole = [...path];
  for (let last = whole.at(-1)!; last.children.length > 0; last = whole.at(-1)!) {
    if (last.children.length > 1) return undefined;
    whole.push(last.children[0]!);
  }
  const leaf = whole.at(-1)!;
  const valueBytes = VALUE_BYTES[leaf.element.type ?? ''];
  const kinds = whole.slice(1).map(({ element }) => element.repetition_type);
  const repetition = kinds.filter((kind) => kind === 'REPEATED').length;
  if (valueBytes === undefined || repetition !== 1) return undefined;
  const levelOf = (some: typeof kinds) => some.filter((kind) => kind !== 'REQUIRED').length;
  const elementLevel = levelOf(kinds.slice(0, kinds.indexOf('REPEATED') + 1));
  return { path: leaf.path, level: levelOf(kinds), repetition, valueBytes, elementLevel };
}

/** The list of a row, with null for what is null in it; empty where the row has none. */
export function idsIn(entries: readonly Entry[], { elementLevel }: IdsLeaf): (number | null)[] {
  return entries[0]!.level < elementLevel ? [] : entries.map(({ text }) => (text ? numberOf(text) : null));
}

const numberOf = (bytes: Buffer): number =>
  bytes.length === 4 ? bytes.readInt32LE() : Number(bytes.readBigInt64LE());
