import { FolderInUse } from '../formats/lock.js';
import { type RunFolder, takeRunFolder } from '../formats/runFolder.js';
import type { CellStore } from './store.js';

/** The folder of a cell, which nobody else changes at the same time. */
export class TakenCell {
  readonly path: string;
  readonly #store: CellStore;
  readonly #key: string;
  #folder: RunFolder;

  private constructor(store: CellStore, key: string, folder: RunFolder) {
    this.path = store.pathOf(key);
    this.#store = store;
    this.#key = key;
    this.#folder = folder;
  }

  /** Does something to a cell that is taken before, and let go after it. @throws FolderInUse when another study has it */
  static async during<T>(store: CellStore, key: string, work: (cell: TakenCell) => Promise<T>): Promise<T> {
    const cell = new TakenCell(store, key, await takeRunFolder(store.pathOf(key), true));
    try {
      return await work(cell);
    } finally {
      cell.#folder.release();
    }
  }

  /** Gives what is there another name: the cell has a new folder. @returns the path of the old one */
  async setAside(): Promise<string> {
    const aside = this.#store.setAside(this.#key);
    this.#folder.release();
    this.#folder = await takeRunFolder(this.path, true);
    return aside;
  }
}

/** Deletes checkpoints of a cell, but for those of some steps; where another study is at work on it, none. */
export async function pruneCell(store: CellStore, key: string, keep: readonly number[]): Promise<void> {
  if (store.spare(key, keep).length === 0) return;
  try {
    await TakenCell.during(store, key, async () => store.prune(key, keep));
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
  }
}
