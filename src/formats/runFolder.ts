import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InputError, RunError } from '../base/errors.js';
import { BEST_FOLDER } from './best.js';
import { STATE_FILE } from './checkpoint.js';
import { listCheckpoints, makeFolder, publishFile, removeEmpty, removeLeftovers } from './checkpointFiles.js';
import { systemCode } from './json.js';
import { type FolderLock, lockFolder } from './lock.js';
import { RUN_FILE, type RunFile } from './runFile.js';

/** The files of a run. */
export const runPaths = (folder: string) => ({
  options: join(folder, RUN_FILE),
  metrics: join(folder, 'metrics.jsonl'),
  adapter: join(folder, 'adapter'),
  model: join(folder, 'model'),
  best: join(folder, BEST_FOLDER),
  checkpoints: join(folder, 'checkpoints'),
});

/** Whether a folder holds a run, finished or not. */
export const holdsRun = (folder: string): boolean => {
  const { options, metrics, adapter, model } = runPaths(folder);
  return [options, metrics, adapter, model].some((path) => existsSync(path));
};

/** What is in a folder that is itself an adapter or a model. */
const CONFIG_FILES = { adapter: 'adapter_config.json', model: 'config.json' } as const;

/**
 * The adapter or model in a run's folder, or in that of a checkpoint; any other folder is given back as it is.
 * @throws InputError when the run made none, with the checkpoint to take instead where there is one
 */
export function madeIn(folder: string, kind: 'adapter' | 'model'): string {
  const holds = (file: string) => existsSync(join(folder, file));
  if (holds(CONFIG_FILES[kind]) || !(holds(RUN_FILE) || holds(STATE_FILE))) return folder;
  const made = join(folder, kind);
  if (existsSync(made)) return made;
  const other = kind === 'adapter' ? 'model' : 'adapter';
  const newest = listCheckpoints(runPaths(folder).checkpoints).at(-1)?.path;
  const isThere = newest !== undefined && existsSync(join(newest, kind));
  const found = holds(other) ? `${other}/ alone` : 'nothing yet';
  const advice = isThere ? `take its newest checkpoint, ${newest}` : 'choose another folder';
  throw new InputError(
    `${folder}: expected ${kind}/, as a run or a checkpoint has, found ${found}; ${advice}`,
  );
}

/** A folder that belongs to one run, from before anything is read until the run is over. */
export interface RunFolder {
  readonly path: string;
  /** Takes away what a run has written here that has nothing to go on from. What was there before it stays. */
  discard(): void;
  /** Lets other runs have it. What was made for a run that wrote nothing is taken away again. */
  release(): void;
}

/** That of a run which writes nothing itself. */
export const unwrittenFolder = (path: string): RunFolder => ({ path, discard() {}, release() {} });

/**
 * Makes and locks the folder of a run in one step, before anything slow: two runs never have the same one.
 * @param out absent: the first of runs/0001, runs/0002, ... after those that are there
 * @param resumes whether there may be a run in it
 * @throws InputError when it is a file, holds a run, or another run is using it. @throws RunError when it can't be written to
 */
export async function takeRunFolder(out: string | undefined, resumes: boolean): Promise<RunFolder> {
  const folder = out === undefined ? await takeFresh() : await take(out);
  try {
    if (!resumes && holdsRun(folder.path)) throw refusedRun(folder.path);
    refuseLinks(folder.path);
    return folder;
  } catch (error) {
    folder.release();
    throw error;
  }
}

const refusedRun = (folder: string): InputError =>
  new InputError(
    `--out: expected a folder without a run, found one in ${folder}; add --resume to continue it`,
  );

/** Runs that take the same folder away again, one after the other, are not more than this. */
const MOST_TRIES = 1000;

async function take(path: string): Promise<RunFolder> {
  for (let tries = 1; ; tries++) {
    await checkRunFolder(path);
    const made: string[] = [];
    let lock: FolderLock | undefined;
    try {
      makeFolder(path, made);
      lock = await lockFolder(path);
    } catch (error) {
      removeEmpty(made);
      // Another run that had made it took it away again.
      if (systemCode(error) === 'ENOENT' && made.length === 0 && tries < MOST_TRIES) continue;
      throw error instanceof InputError ? error : notWritable(path, error);
    }
    if (isSame(path, lock)) return ownedFolder(path, made, lock);
    lock.close();
  }
}

const isSame = (path: string, { folder }: FolderLock): boolean => {
  const now = statSync(path, { bigint: true, throwIfNoEntry: false });
  return now !== undefined && now.ino === folder.ino && now.dev === folder.dev;
};

function ownedFolder(path: string, made: readonly string[], lock: FolderLock): RunFolder {
  const entries = Object.values(runPaths(path));
  const before = new Set(entries.filter((entry) => existsSync(entry)));
  return {
    path,
    discard() {
      for (const entry of entries) if (!before.has(entry)) rmSync(entry, { recursive: true, force: true });
    },
    release() {
      removeEmpty(made);
      lock.close();
    },
  };
}

/** Of two runs that make the same folder, the system lets one through; the other takes the next number. */
async function takeFresh(): Promise<RunFolder> {
  for (let tries = 1; ; tries++) {
    const path = freshRunFolder();
    const parent = dirname(path);
    await checkRunFolder(path);
    const made: string[] = [];
    try {
      makeFolder(parent, made);
      mkdirSync(path);
      const lock = await lockFolder(path);
      return ownedFolder(path, [path, ...made], lock);
    } catch (error) {
      const isTaken = systemCode(error) === 'EEXIST' || error instanceof InputError;
      // The parent went away with the run that had made it.
      const isGone = systemCode(error) === 'ENOENT' && !existsSync(parent);
      if ((isTaken || isGone) && tries < MOST_TRIES) continue;
      removeEmpty(made);
      throw notWritable(path, error);
    }
  }
}

/**
 * Checks, without writing, that a run can be in a folder, which need not exist.
 * @throws InputError when it is a file or below one, no folder can have its name, or another run uses it.
 * @throws RunError when it may not be written to
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
  try {
    lstatSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    // A name that is too long, or links that go round in circles.
    throw new InputError(
      `--out: expected a folder to write to, found ${folder} (${systemCode(error)}); choose another`,
    );
  }
}

/** What checks a folder that a dry run will not take. @throws as `takeRunFolder` does */
export async function checkUntaken(folder: string, resumes: boolean): Promise<void> {
  await checkRunFolder(folder);
  if (!resumes && holdsRun(folder)) throw refusedRun(folder);
  if (existsSync(folder)) (await lockFolder(folder)).close();
}

/** Makes a taken folder ready to write to, or the run in it ready to go on. @throws RunError when it can't be written to */
export function prepareRunFolder(folder: string, file: RunFile): void {
  const { options, checkpoints } = runPaths(folder);
  try {
    makeFolder(checkpoints);
    removeLeftovers(folder);
    removeLeftovers(checkpoints);
    publishFile(options, [new TextEncoder().encode(`${JSON.stringify(file, null, 2)}\n`)]);
  } catch (error) {
    throw notWritable(folder, error);
  }
}

/** What is written to in a run's folder must be in it: nothing outside is ever changed by way of a link. */
function refuseLinks(folder: string): void {
  const { options, metrics, ...folders } = runPaths(folder);
  for (const path of [options, metrics]) {
    const status = lstatSync(path, { throwIfNoEntry: false });
    if (status && !status.isFile()) throw refusedEntry(path, 'a file', status.isSymbolicLink());
    if (status && status.nlink > 1) throw refusedEntry(path, 'a file of its own', true);
  }
  for (const path of Object.values(folders)) {
    const status = lstatSync(path, { throwIfNoEntry: false });
    if (status && !status.isDirectory()) throw refusedEntry(path, 'a folder', status.isSymbolicLink());
    if (status) refuseLinksBelow(path);
  }
}

function refuseLinksBelow(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) throw refusedEntry(path, 'a file or folder of the run', true);
    if (entry.isDirectory()) refuseLinksBelow(path);
  }
}

function refusedEntry(path: string, expected: string, isLink: boolean): InputError {
  const found = isLink ? 'a link to elsewhere' : 'something else';
  return new InputError(`${path}: expected ${expected}, found ${found}; put what it stands for in its place`);
}

/** What to say where nothing can be written. */
export function notWritable(folder: string, error: unknown): RunError {
  const reason = (error as Error).message.split(',')[0];
  return new RunError(
    `--out: expected a folder to write to, found ${folder} (${reason}); check its permissions or choose another`,
    { cause: error },
  );
}

const RUNS = 'runs';

/** The first of runs/0001, runs/0002, ... after those that are there. @throws InputError where `runs` is a file */
export function freshRunFolder(): string {
  const status = statSync(RUNS, { throwIfNoEntry: false });
  if (status && !status.isDirectory()) {
    throw new InputError(`--out: expected a folder for runs, found a file called ${RUNS}; give --out`);
  }
  const taken = status ? readdirSync(RUNS).map(Number).filter(Number.isInteger) : [];
  return join(RUNS, String(Math.max(0, ...taken) + 1).padStart(4, '0'));
}
