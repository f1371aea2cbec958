import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { localFiles, type SourceFile } from '../../data/documents/files.js';
import { readTable } from '../../data/documents/tables.js';
import { SCHEME } from '../../hub/address.js';
import type { DatasetOptions } from '../../hub/dataset.js';
import type { ChoiceItem, Item } from './item.js';

/** A way in which the items of a task are written down: what a record becomes. @throws InputError, without its place */
export type Layout<I extends Item> = (record: unknown) => I;

/**
 * @param schema what a record of the file is like
 * @param item throws InputError when the record contradicts itself
 */
export const layout =
  <R, I extends Item>(schema: z.ZodType<R>, item: (record: R) => Omit<I, 'record'>): Layout<I> =>
  (record) => {
    const checked = schema.safeParse(record, { reportInput: true });
    if (checked.success) return { ...item(checked.data), record } as I;
    const { path, message, input } = checked.error.issues[0]!;
    const expected = message.replace(/^Invalid input: |, received .*$/g, '');
    throw new InputError(
      `${path.join('.') || 'record'}: ${expected}, found ${excerpt(input)}; is it the data of this task?`,
    );
  };

/** The same of items whose choices are compared. */
export const choiceLayout = <R>(
  schema: z.ZodType<R>,
  item: (record: R) => Omit<ChoiceItem, 'record'>,
): Layout<ChoiceItem> => layout(schema, (record) => comparable(item(record)));

/** @throws InputError for an item that scores the same whatever a model makes of it */
function comparable(item: Omit<ChoiceItem, 'record'>): Omit<ChoiceItem, 'record'> {
  const { contexts, choices, right } = item;
  const count = Math.max(contexts.length, choices.length);
  if (right.length > 0 && right.length < count) return item;
  throw new InputError(
    `expected some choices that are right and some that are not, found ${right.length} right of ${count}; ` +
      'mend the item, or leave it out',
  );
}

/** Where items are: in the first of these files that is there, in one layout or another. */
export interface Place<I extends Item> {
  /** Below the folder; a name may be a pattern. */
  readonly local: readonly string[];
  /** Of a dataset on the Hub: owner, name and path; a name may be a pattern. */
  readonly hub: string;
  readonly layouts: Layouts<I>;
}

/** The layout of the local files, and that of the dataset on the Hub. */
export interface Layouts<I extends Item> {
  readonly local: Layout<I>;
  readonly hub: Layout<I>;
}

/** The data of tasks. */
export interface TaskData {
  /** Absent: the Hub. */
  readonly folder: string | undefined;
  /** @throws InputError when there are none, or the file is not of the layout; RunError when the Hub fails */
  items<I extends Item>(place: Place<I>): Promise<I[]>;
  /** The file itself, of a task that is in no data set on the Hub. @throws InputError when it is not there */
  file(name: string): string;
  /** Names of what is in a folder below the folder. */
  list(below: string): readonly string[];
}

/** What is in a folder, or on the Hub where none is given. @throws InputError for a folder that is none */
export function taskData(folder: string | undefined, hub: DatasetOptions = {}): TaskData {
  if (folder !== undefined && !isFolder(folder)) {
    const found = existsSync(folder) ? 'a file' : 'nothing';
    throw new InputError(
      `--task-data: expected a folder of task data, found ${found} at ${folder}; check it`,
    );
  }
  return {
    folder,
    file: (name) => {
      if (folder !== undefined) return localFile(folder, [name]).bytes.name;
      throw new InputError(
        `--task-data: expected a folder with ${name}, which is in no data set on the Hub, found none; give one`,
      );
    },
    list: (below) => {
      const path = join(folder ?? '', below);
      return isFolder(path) ? readdirSync(path).sort() : [];
    },
    items: async ({ local, hub: address, layouts }) =>
      folder === undefined
        ? itemsOf(await remoteFiles(`${SCHEME}datasets/${address}`, hub), layouts.hub)
        : itemsOf([localFile(folder, local)], layouts.local),
  };
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function localFile(folder: string, names: readonly string[]): SourceFile {
  for (const name of names) {
    const path = join(folder, name.includes('*') ? (firstMatch(folder, name) ?? name) : name);
    if (existsSync(path)) return localFiles(path)[0]!;
  }
  throw new InputError(
    `--task-data: expected ${names.join(' or ')} in ${folder}, found nothing of that name; add it, or leave --task-data ` +
      'out to read the data from the Hub',
  );
}

/** The first file, by name, of a pattern whose last part alone has a `*`. What `folder` is called is no pattern. */
function firstMatch(folder: string, pattern: string): string | undefined {
  const below = dirname(pattern);
  const [start = '', end = ''] = basename(pattern).split('*');
  const names = isFolder(join(folder, below)) ? readdirSync(join(folder, below)).sort() : [];
  const found = names.find((name) => name.startsWith(start) && name.endsWith(end));
  return found && join(below, found);
}

/** Loads the Hub's client only where it is needed. */
async function remoteFiles(address: string, options: DatasetOptions): Promise<SourceFile[]> {
  const { hubFiles } = await import('../../data/documents/hub.js');
  return hubFiles(address, options);
}

async function itemsOf<I extends Item>(files: readonly SourceFile[], read: Layout<I>): Promise<I[]> {
  const items: I[] = [];
  for (const file of files) {
    for (const { value, place } of await readTable(file)) items.push(located(place, () => read(value)));
  }
  if (items.length > 0) return items;
  throw new InputError(`${files[0]!.bytes.name}: expected items of a task, found none; fetch the file again`);
}

function located<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${place}: ${error.message}`);
    throw error;
  }
}
