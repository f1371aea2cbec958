import type { SchemaTree } from 'hyparquet';
import { Problem } from '../problems.js';
import { decode } from '../text.js';
import { broken } from './encodings.js';

/** A value of a leaf in a row: its bytes, and where among lists and nulls it is (Dremel's levels). */
export interface Entry {
  readonly text: Buffer | undefined;
  readonly level: number;
  readonly repetition: number;
}

interface Levels {
  /** From which definition level on it is there. */
  readonly level: number;
  /** Lists it is in, itself included. */
  readonly repetition: number;
}

/** A column with text, or with whole numbers of so many bytes. */
export interface Leaf extends Levels {
  readonly path: readonly string[];
  readonly valueBytes?: 4 | 8;
}

/** What is in a column. */
export interface Node extends Levels {
  readonly name: string;
  /** A `nullable` is a group that stands for the list in it. */
  readonly kind: 'text' | 'group' | 'list' | 'nullable';
  readonly isOptional: boolean;
  /** Of a group its fields, of a list its element. */
  readonly children: readonly Node[];
  /** Numbers of the columns with text that it consists of. */
  readonly leaves: readonly number[];
}

const TEXT_TYPES = [undefined, 'UTF8', 'ENUM', 'JSON'];

export const isText = ({ element, children }: SchemaTree): boolean =>
  children.length === 0 && element.type === 'BYTE_ARRAY' && TEXT_TYPES.includes(element.converted_type);

const isList = ({ element, children }: SchemaTree): boolean =>
  (element.converted_type === 'LIST' || element.logical_type?.type === 'LIST') &&
  children.length === 1 &&
  children[0]!.element.repetition_type === 'REPEATED';

/**
 * What of a column holds text; undefined where nothing does. Fields of other types are left out.
 * @param leaves is given its columns with text
 * @throws Problem for other types in a call of a function or its declaration, of which nothing may be missing
 */
export function nodeOf(tree: SchemaTree, above: Levels, leaves: Leaf[], isInList = false): Node | undefined {
  const { repetition_type: type, name } = tree.element;
  const isRepeated = type === 'REPEATED';
  const levels: Levels = {
    level: above.level + Number(type !== 'REQUIRED'),
    repetition: above.repetition + Number(isRepeated),
  };
  const first = leaves.length;
  const content = contentOf(tree, levels, leaves);
  if (!content) return undefined;
  const numbers = Array.from({ length: leaves.length - first }, (_, i) => first + i);
  const node: Node = { name, isOptional: type === 'OPTIONAL', ...levels, ...content, leaves: numbers };
  if (!isRepeated) return node;
  const element = isInList && isElementInside(tree) ? node.children[0]! : node;
  return { ...node, kind: 'list', children: [element] };
}

/** Lists of three levels have the element in a group of its own; those of two levels don't. @see Parquet's LogicalTypes.md */
const isElementInside = ({ element: { name }, children }: SchemaTree): boolean =>
  children.length === 1 && name !== 'array' && !name.endsWith('_tuple');

function contentOf(
  tree: SchemaTree,
  levels: Levels,
  leaves: Leaf[],
): Pick<Node, 'kind' | 'children'> | undefined {
  if (isText(tree)) {
    leaves.push({ path: tree.path, ...levels });
    return { kind: 'text', children: [] };
  }
  if (tree.children.length === 0 && tree.path.some((name) => FUNCTIONS.includes(name))) throw noText(tree);
  if (tree.children.length === 0 && tree.path.length > 1 && FLAGS.includes(tree.path.at(-1)!))
    throw noFlag(tree);
  const isNullable = isList(tree);
  const children = tree.children.flatMap((child) => nodeOf(child, levels, leaves, isNullable) ?? []);
  return children.length === 0 ? undefined : { kind: isNullable ? 'nullable' : 'group', children };
}

const FUNCTIONS = ['tools', 'tool_calls'];
/** Whether a turn is learned. */
const FLAGS = ['weight', 'train'];

const noFlag = ({ path }: SchemaTree): Problem =>
  new Problem(
    `expected turns without ${path.at(-1)} in Parquet, found ${path.join('.')}; write the conversations as .jsonl, ` +
      'where it is read, or leave the column out',
    { endsFile: true },
  );

const noText = ({ path, element }: SchemaTree): Problem =>
  new Problem(
    `expected texts in ${path.join('.')}, found another type (${element.type}); write functions and arguments as JSON in a text`,
    { endsFile: true },
  );

/** Of each leaf, by its number, entries: those of a row, or of a part of it. */
type Entries = readonly (readonly Entry[] | undefined)[];

/**
 * A text, a list, or an object without the fields that are null; undefined where it is null.
 * @throws Problem for text that is no UTF-8, and where the columns contradict one another
 */
export function assembled(node: Node, entries: Entries): unknown {
  const [first] = entries[node.leaves[0]!] ?? [];
  if (!first) throw contradiction();
  const isThere = first.level >= node.level;
  if (node.kind !== 'list') return node.isOptional && !isThere ? undefined : assembledContent(node, entries);
  const [element] = node.children as [Node];
  if (!isThere) return [];
  return elementsOf(node, entries).map((part) =>
    // An element that is the repeated group itself has no level of its own.
    element.level === node.level ? assembledContent(element, part) : assembled(element, part),
  );
}

function assembledContent(node: Node, entries: Entries): unknown {
  if (node.kind === 'text') {
    const text = entries[node.leaves[0]!]![0]!.text;
    return text && decode(text);
  }
  if (node.kind === 'nullable') return assembled(node.children[0]!, entries);
  const fields = node.children.map((child) => [child.name, assembled(child, entries)] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}

function elementsOf(list: Node, entries: Entries): Entry[][][] {
  const elements: Entry[][][] = [];
  for (const leaf of list.leaves) {
    let number = -1;
    for (const entry of entries[leaf] ?? []) {
      if (number < 0 || entry.repetition <= list.repetition) {
        number++;
        elements[number] ??= [];
        elements[number]![leaf] = [];
      }
      elements[number]![leaf]!.push(entry);
    }
    if (number + 1 !== elements.length) throw contradiction();
  }
  return elements;
}

const contradiction = () => broken('columns of one row that differ in length');
