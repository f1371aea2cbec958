import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { InputError } from '../base/errors.js';
import { flagOf } from '../options/table.js';
import { isOperational } from '../options/train.js';
import { readJsonFile } from './json.js';

const choices = z.record(z.string(), z.string());

export const runSchema = z.object({
  version: z.string(),
  options: z.record(z.string(), z.unknown()),
  /** Of models by Hub name: the commits, by option. */
  commits: z.record(z.string(), z.string()).optional(),
  /** Hash of the chat template and its special tokens: conversations are other text with another one. */
  chatTemplate: z.string().optional(),
  /** Variants of kernels that its devices chose by timing: other ones round differently. */
  variants: z.object({ student: choices, teacher: choices }).optional(),
});

/** What a run was started with, and what it chose by itself: a resumed run takes both from here. */
export type RunFile = Readonly<z.infer<typeof runSchema>>;

export const RUN_FILE = 'run.json';

/** @throws InputError when the file is damaged; undefined where there is none */
export function readRunFile(folder: string): RunFile | undefined {
  const path = join(folder, RUN_FILE);
  return existsSync(path) ? readJsonFile(path, runSchema) : undefined;
}

/** What may differ from a checkpoint's: where the run is, and how long, which its schedule is held to apart from this. */
const FREE = ['out', 'steps', 'tokens', 'epochs'];

/**
 * Holds run.json to what it said when a checkpoint was made.
 * @throws InputError naming what is different
 */
export function checkRunFile(folder: string, found: RunFile, checkpoint: string, expected: RunFile): void {
  const facts = ({ version: _, options, ...others }: RunFile): Record<string, unknown> =>
    JSON.parse(JSON.stringify({ ...others, ...options }));
  const [is, was] = [facts(found), facts(expected)];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  const other = names.find(
    (name) => !FREE.includes(name) && !isOperational(name) && !isDeepStrictEqual(is[name], was[name]),
  );
  if (other === undefined) return;
  const shown = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  const label = other in expected.options || other in found.options ? flagOf(other).slice(2) : other;
  throw new InputError(
    `${join(folder, RUN_FILE)}: expected ${label} ${shown(was[other])}, as ${checkpoint} was made with, ` +
      `found ${shown(is[other])}; put it back`,
  );
}
