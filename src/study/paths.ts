import { existsSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { parseData } from '../data/documents/sources.js';
import { isRemote } from '../hub/address.js';
import { isStart } from '../options/init.js';

/** Options that are paths, or names on the Hub where nothing is there. */
const MODELS = ['student', 'teacher', 'init', 'idsTokenizer'];
const TEXTS = ['data', 'evalData'];
const FILES = ['fromConfig', 'chatTemplate', 'teacherCache', 'taskData'];

/** Options of a study's file as `train` takes them: its paths are relative to the file, those of `train` to here. */
export function withPaths(
  options: Readonly<Record<string, unknown>>,
  folder: string,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => {
      const resolved = (one: unknown) => (typeof one === 'string' ? fromFolder(name, one, folder) : one);
      return [name, Array.isArray(value) ? value.map(resolved) : resolved(value)];
    }),
  );
}

/** A path, or a name, of a study's file as the option `name` of `train` takes it. */
export function fromFolder(name: string, value: string, folder: string): string {
  if (isWord(name, value) || isAbsolute(value) || isRemote(value)) return value;
  const path = relative('', join(folder, value)) || '.';
  if (FILES.includes(name) || TEXTS.includes(name)) return path;
  const isMeant = /^\.\.?(\/|$)/.test(value) || existsSync(parseData(path).path);
  return MODELS.includes(name) && isMeant ? path : value;
}

/** Those of the options of `train` that are paths or names: paths from the root, whatever the current folder will be. */
export function absolutePaths(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = [...MODELS, ...TEXTS, ...FILES].filter((name) => options[name] !== undefined);
  return Object.fromEntries(
    names.map((name) => {
      const from = (value: string) => (isPath(name, value) ? resolve(value) : value);
      const value = options[name];
      return [name, Array.isArray(value) ? value.map(from) : from(String(value))];
    }),
  );
}

const isPath = (name: string, value: string): boolean =>
  !isWord(name, value) && !isRemote(value) && (!MODELS.includes(name) || existsSync(value));

const isWord = (name: string, value: string): boolean =>
  (name === 'init' && isStart(value)) || (name === 'teacher' && value === 'none');
