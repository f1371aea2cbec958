import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RunError } from '../base/errors.js';
import { systemCode } from './json.js';

/**
 * Publishing files and folders so that a process killed at any instant leaves either nothing or all of it: written
 * under a hidden name beside the final one, flushed to the disk, renamed, and the rename itself flushed.
 */

/** Hidden names of what is being written or deleted: `.NAME.RANDOM.unfinished`. */
const UNFINISHED = /^\..+\.unfinished$/;
const CHECKPOINT = /^step-(\d{8,})$/;

/** UTF-16 units of a name that a hidden one begins with: 3 bytes each at most, of the 255 that file systems allow. */
const LONGEST_NAME = 60;

/** Another thread, or another machine, may be writing the same at the same time. */
function unfinishedPath(path: string): string {
  const name = basename(path).slice(0, LONGEST_NAME);
  return join(dirname(path), `.${name}.${randomBytes(6).toString('hex')}.unfinished`);
}

/**
 * Publishes a file made of `parts`, in order, replacing the one that was there.
 * A kill at any instant leaves the old file or the new one, whole.
 */
export function publishFile(path: string, parts: Iterable<Uint8Array>): void {
  const file = new UnfinishedFile(path);
  try {
    for (const part of parts) file.write(part);
    file.publish();
  } catch (error) {
    file.discard();
    throw error;
  }
}

/** The same of parts that are made one after the other; each may change once the next one is asked for. */
export async function publishStream(path: string, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const file = new UnfinishedFile(path);
  try {
    for await (const part of parts) file.write(part);
    file.publish();
  } catch (error) {
    file.discard();
    throw error;
  }
}

class UnfinishedFile {
  readonly #path: string;
  readonly #unfinished: string;
  readonly #file: number;
  #isOpen = true;

  constructor(path: string) {
    this.#path = path;
    this.#unfinished = unfinishedPath(path);
    this.#file = openSync(this.#unfinished, 'wx');
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
  }

  publish(): void {
    fsyncSync(this.#file);
    this.#close();
    renameSync(this.#unfinished, this.#path);
    flush(dirname(this.#path));
  }

  discard(): void {
    this.#close();
    rmSync(this.#unfinished, { force: true });
  }

  #close(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }
}

/**
 * Publishes a folder filled by `write`, in place of an empty one where there is one. A kill at any instant leaves what was
 * there or the whole new one.
 * The parent folder is made when absent, and taken away again when `write` throws.
 * @param write puts files (and folders) into the folder it is given; nothing is published when it throws
 * @throws RunError when something is in `folder`, also where it came in the meantime: a published folder never changes
 */
export async function publishFolder(
  folder: string,
  write: (unfinishedFolder: string) => Promise<void> | void,
): Promise<void> {
  if (isTaken(folder)) throw taken(folder);
  const unfinished = unfinishedPath(folder);
  const parent = dirname(folder);
  const made: string[] = [];
  try {
    makeFolder(parent, made);
    mkdirSync(unfinished);
    await write(unfinished);
    flushTree(unfinished);
    takePlace(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    removeEmpty(made);
    throw error;
  }
  flush(parent);
}

/** @throws RunError where something came to be in `folder` in the meantime */
function takePlace(unfinished: string, folder: string): void {
  try {
    // Windows renames to what is not there alone.
    removeEmpty([folder]);
    renameSync(unfinished, folder);
  } catch (error) {
    throw isTaken(folder) ? taken(folder) : error;
  }
}

const isTaken = (folder: string): boolean =>
  existsSync(folder) && !(statSync(folder).isDirectory() && readdirSync(folder).length === 0);

const taken = (folder: string): RunError =>
  new RunError(`${folder}: expected a folder that is not there yet, found one; delete or rename it`);

/** Moves a folder away and back: where that works, another one can take its place. @throws the system's error */
export function tryToMove(folder: string): void {
  const away = unfinishedPath(folder);
  renameSync(folder, away);
  renameSync(away, folder);
}

/**
 * Publishes a folder in place of the one that is there, if any. A kill leaves the old one, none, or the whole new one.
 * @param write see `publishFolder`
 */
export async function replaceFolder(
  folder: string,
  write: (unfinishedFolder: string) => Promise<void> | void,
): Promise<void> {
  const [unfinished, old] = [unfinishedPath(folder), unfinishedPath(folder)];
  try {
    mkdirSync(unfinished);
    await write(unfinished);
    flushTree(unfinished);
    if (existsSync(folder)) renameSync(folder, old);
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
  flush(dirname(folder));
  rmSync(old, { recursive: true, force: true });
}

/** Deletes a folder, if it is there. Renamed first: a kill amid the deletion must not leave half of it. */
export function removeFolder(folder: string): void {
  if (!existsSync(folder)) return;
  const unfinished = unfinishedPath(folder);
  renameSync(folder, unfinished);
  rmSync(unfinished, { recursive: true });
}

/**
 * Makes a folder and those around it. Node's own way never returns where the system denies that a parent exists, as
 * /proc does.
 * @param made where those that were not there are listed, children first
 */
export function makeFolder(path: string, made: string[] = []): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path), made);
  try {
    mkdirSync(path);
    made.unshift(path);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Deletes folders that are empty, children first; one in which something is stays. */
export function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      return;
    }
  }
}

/**
 * Deletes what killed writers left in `parent`. Call it before writing there, while no other process does.
 * A folder that is absent has no leftovers.
 */
export function removeLeftovers(parent: string): void {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    if (UNFINISHED.test(name)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

export interface Checkpoint {
  step: number;
  path: string;
}

/** The folder of the checkpoint after `step` steps, such as `step-00000100`. */
export function checkpointPath(folder: string, step: number): string {
  return join(folder, `step-${String(step).padStart(8, '0')}`);
}

/** The published checkpoints in `folder`, by step; none when it is absent. */
export function listCheckpoints(folder: string): Checkpoint[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => CHECKPOINT.test(name));
  return names
    .map((name) => ({ step: Number(CHECKPOINT.exec(name)![1]), path: join(folder, name) }))
    .sort((a, b) => a.step - b.step);
}

/** Deletes all but the last `keep` checkpoints. */
export function pruneCheckpoints(folder: string, keep: number): void {
  const checkpoints = listCheckpoints(folder);
  for (const { path } of checkpoints.slice(0, Math.max(0, checkpoints.length - keep))) removeFolder(path);
}

/** Gives a damaged checkpoint another name, which the run will not need: nothing in it is lost. @returns its new path */
export function setAside(checkpoint: string): string {
  for (let i = 1; ; i++) {
    const path = `${checkpoint}.damaged${i === 1 ? '' : `-${i}`}`;
    if (existsSync(path)) continue;
    renameSync(checkpoint, path);
    return path;
  }
}

/** Flushes every file and folder under `folder`, children first. */
function flushTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) flushTree(path);
    else flush(path);
  }
  flush(folder);
}

function flush(path: string): void {
  // Windows can't flush what is open for reading; its file system journals renames.
  if (process.platform === 'win32') return;
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
