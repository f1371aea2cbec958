import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { InputError } from '../base/errors.js';
import { checkpointPath, listCheckpoints, publishFile, setAside } from '../formats/checkpointFiles.js';
import { hashFile } from '../formats/hashes.js';
import { readJsonFile } from '../formats/json.js';
import { runPaths } from '../formats/runFolder.js';

/*
 * A cell is the folder of its run, named by its key, and `cell.json` once it has ended: what it came to, the hashes of
 * the run's files, and a hash of all that. It is published last: a folder without it goes on.
 */

const finite = z.number();
const point = { step: z.int(), tokens: z.int() };
const resultSchema = z.strictObject({
  status: z.enum(['done', 'diverged']),
  reason: z.string().optional(),
  steps: z.int(),
  tokens: z.int(),
  seconds: finite,
  measures: z.record(z.string(), finite),
  curve: z.array(z.strictObject({ ...point, nll: finite })),
  training: z.array(
    z.strictObject({
      ...point,
      loss: finite,
      grad_norm: finite.nullable(),
      noise_scale: finite.nullable(),
    }),
  ),
  dynamics: z.array(
    z.strictObject({ ...point, norm: finite, stable_rank: finite, top: finite, bottom: finite }),
  ),
});

/** What a cell came to, wherever it stands in a study. */
export type CellResult = Readonly<z.infer<typeof resultSchema>>;

const contentSchema = z.strictObject({
  key: z.string(),
  /** Which measures were taken. */
  measured: z.string(),
  result: resultSchema,
  /** XXH64 of the run's files. */
  files: z.record(z.string(), z.string()),
});

/** With SHA-256 of the content, first 16 digits. */
const cellSchema = contentSchema.extend({ hash: z.string() });

export interface StoredCell {
  readonly result: CellResult;
  readonly measured: string;
}

const CELL_FILE = 'cell.json';
/** Of a run, beside the folder of what it made. */
const RUN_FILES = ['run.json', 'metrics.jsonl'];

/** Folders of cells, of one study or of many. */
export class CellStore {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  pathOf(key: string): string {
    return join(this.folder, key);
  }

  /**
   * A cell that has ended; undefined where there is none, or one that was stopped on its way.
   * @throws InputError naming the file that is another one than was written
   */
  async find(key: string): Promise<StoredCell | undefined> {
    const folder = this.pathOf(key);
    const path = join(folder, CELL_FILE);
    if (!existsSync(path)) return undefined;
    const { hash, ...cell } = readJsonFile(path, cellSchema);
    const is = hashOf(cell);
    if (is !== hash || cell.key !== key) {
      throw new InputError(
        `${path}: expected the cell ${key} as it was written (${hash}), found another (${is})`,
      );
    }
    for (const [name, expected] of Object.entries(cell.files)) {
      const file = join(folder, name);
      const found = existsSync(file) ? await hashFile(file) : 'none';
      if (found === expected) continue;
      throw new InputError(`${file}: expected the file that was written (XXH64 ${expected}), found ${found}`);
    }
    return { result: cell.result, measured: cell.measured };
  }

  /** Publishes what a cell came to, beside its run. Of a whole model, which its command makes again, only that is kept. */
  async publish(key: string, { result, measured }: StoredCell): Promise<void> {
    const folder = this.pathOf(key);
    rmSync(runPaths(folder).model, { recursive: true, force: true });
    const files: Record<string, string> = {};
    for (const name of [...RUN_FILES, ...adapterFiles(folder).sort()]) {
      if (existsSync(join(folder, name))) files[name] = await hashFile(join(folder, name));
    }
    // In the order of the schema, as it will be read.
    const cell = contentSchema.parse({ key, measured, result, files });
    const text = `${JSON.stringify({ ...cell, hash: hashOf(cell) }, null, 1)}\n`;
    publishFile(join(folder, CELL_FILE), [new TextEncoder().encode(text)]);
  }

  /** Takes back that a cell has ended: it goes on from what is left of its run. */
  reopen(key: string): void {
    rmSync(join(this.pathOf(key), CELL_FILE), { force: true });
  }

  hasCheckpoint(key: string, step: number): boolean {
    return existsSync(checkpointPath(runPaths(this.pathOf(key)).checkpoints, step));
  }

  /** Paths of checkpoints, but for those of some steps. */
  spare(key: string, keep: readonly number[]): string[] {
    const all = listCheckpoints(runPaths(this.pathOf(key)).checkpoints);
    return all.filter(({ step }) => !keep.includes(step)).map(({ path }) => path);
  }

  /** Deletes checkpoints, but for those of some steps. */
  prune(key: string, keep: readonly number[]): void {
    for (const path of this.spare(key, keep)) rmSync(path, { recursive: true, force: true });
  }

  /** Gives what is in the way of a cell another name. @returns its new path */
  setAside(key: string): string {
    return setAside(this.pathOf(key));
  }
}

/** Files of the adapter that a run made. */
const adapterFiles = (folder: string): string[] => {
  const { adapter } = runPaths(folder);
  return existsSync(adapter) ? readdirSync(adapter).map((name) => `adapter/${name}`) : [];
};

const hashOf = (cell: z.infer<typeof contentSchema>): string =>
  createHash('sha256').update(JSON.stringify(cell)).digest('hex').slice(0, 16);
