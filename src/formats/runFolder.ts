import { accessSync, constants, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { InputError, RunError } from '../base/errors.js';
import type { RunState } from '../messages.js';
import { readCheckpointState } from './checkpoint.js';
import { listCheckpoints, publishFile, removeLeftovers } from './checkpointFiles.js';
import { readJsonFile, systemCode } from './json.js';
import { type FolderLock, lockFolder } from './lock.js';

/** The files of a run. */
export const runPaths = (folder: string) => ({
  options: join(folder, 'run.json'),
  metrics: join(folder, 'metrics.jsonl'),
  adapter: join(folder, 'adapter'),
  model: join(folder, 'model'),
  checkpoints: join(folder, 'checkpoints'),
});

const choices = z.record(z.string(), z.string());
const runSchema = z.object({
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

/** Whether a folder holds a run, finished or not. */
export const holdsRun = (folder: string): boolean => {
  const { options, metrics, adapter, model } = runPaths(folder);
  return [options, metrics, adapter, model].some((path) => existsSync(path));
};

/** @throws InputError when the file is damaged; undefined where there is none */
export function readRunFile(folder: string): RunFile | undefined {
  const { options: path } = runPaths(folder);
  return existsSync(path) ? readJsonFile(path, runSchema) : undefined;
}

/**
 * Checks, without writing, that a run can be in a folder, which need not exist.
 * @throws InputError when it is a file or below one, or another run uses it. @throws RunError when it may not be written to
 */
export async function checkRunFolder(folder: string): Promise<void> {
  let found = resolve(folder);
  while (!existsSync(found)) found = dirname(found);
  if (!statSync(found).isDirectory()) {
    throw new InputError(`--out: expected a folder, found a file at ${found}; choose another path`);
  }
  try {
    accessSync(found, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(found, error);
  }
  if (existsSync(folder)) (await lockFolder(folder)).close();
}

/**
 * Makes the folder of a run, or makes the one there ready to go on.
 * @returns a lock that keeps other runs out of it
 * @throws InputError when another run holds the lock. @throws RunError when the folder can't be written to
 */
export async function prepareRunFolder(folder: string, file: RunFile): Promise<FolderLock> {
  const { options, checkpoints } = runPaths(folder);
  let lock: FolderLock | undefined;
  try {
    makeFolder(folder);
    lock = await lockFolder(folder);
    makeFolder(checkpoints);
    removeLeftovers(folder);
    removeLeftovers(checkpoints);
    publishFile(options, [new TextEncoder().encode(`${JSON.stringify(file, null, 2)}\n`)]);
    return lock;
  } catch (error) {
    lock?.close();
    throw error instanceof InputError ? error : notWritable(folder, error);
  }
}

/** Makes a folder and those around it. Node's own way never returns where the system denies that a parent exists, as /proc does. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

function notWritable(folder: string, error: unknown): RunError {
  const reason = (error as Error).message.split(',')[0];
  return new RunError(
    `--out: expected a folder to write to, found ${folder} (${reason}); check its permissions or choose another`,
    { cause: error },
  );
}

/**
 * The last checkpoint of a run and the state in it.
 * @param cursor the form of the state's cursor
 * @throws InputError naming the file when the state is damaged
 */
export function lastCheckpoint<C>(
  folder: string,
  cursor: z.ZodType<C>,
): { path: string; state: RunState & { readonly cursor: C } } | undefined {
  const last = listCheckpoints(runPaths(folder).checkpoints).at(-1);
  return last && { path: last.path, state: readCheckpointState(last.path, cursor) };
}

/** The first of runs/0001, runs/0002, ... after those that are there. */
export function freshRunFolder(parent = 'runs'): string {
  const taken = existsSync(parent) ? readdirSync(parent).map(Number).filter(Number.isInteger) : [];
  return join(parent, String(Math.max(0, ...taken) + 1).padStart(4, '0'));
}
