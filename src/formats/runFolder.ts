import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { RunState } from '../messages.js';
import { readCheckpointState } from './checkpoint.js';
import { listCheckpoints, publishFile, removeLeftovers } from './checkpointFiles.js';
import { readJsonFile } from './json.js';

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

/** Makes the folder of a run, or makes the one there ready to go on: nothing else may be writing to it. */
export function prepareRunFolder(folder: string, file: RunFile): void {
  const { options, checkpoints } = runPaths(folder);
  mkdirSync(checkpoints, { recursive: true });
  removeLeftovers(folder);
  removeLeftovers(checkpoints);
  publishFile(options, [new TextEncoder().encode(`${JSON.stringify(file, null, 2)}\n`)]);
}

/** The last checkpoint of a run and the state in it. */
export function lastCheckpoint(folder: string): { path: string; state: RunState } | undefined {
  const last = listCheckpoints(runPaths(folder).checkpoints).at(-1);
  return last && { path: last.path, state: readCheckpointState(last.path) };
}

/** The first of runs/0001, runs/0002, ... after those that are there. */
export function freshRunFolder(parent = 'runs'): string {
  const taken = existsSync(parent) ? readdirSync(parent).map(Number).filter(Number.isInteger) : [];
  return join(parent, String(Math.max(0, ...taken) + 1).padStart(4, '0'));
}
