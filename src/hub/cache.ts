import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Repository } from './client.js';

/**
 * One model or dataset in the cache that all of Hugging Face's tools share:
 * `blobs/<hash>` holds contents, `snapshots/<commit>/<file>` links to them, `refs/<revision>` holds a commit.
 */
export class CachedRepository {
  readonly #folder: string;

  constructor(cache: string, { type, name }: Repository) {
    this.#folder = join(cache, `${type}s--${name.replaceAll('/', '--')}`);
  }

  /** The commit that a branch, a tag or a commit stands for here. */
  commitOf(revision: string): string | undefined {
    if (isCommit(revision)) return revision;
    const path = join(this.#folder, 'refs', revision);
    const commit = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
    return isCommit(commit) ? commit : undefined;
  }

  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  blob(hash: string): string {
    return join(this.#folder, 'blobs', hash);
  }

  /** Puts a blob into a snapshot under its name; a link, relative so that the cache can be moved. */
  link(commit: string, file: string, hash: string): void {
    const path = join(this.snapshot(commit), file);
    mkdirSync(dirname(path), { recursive: true });
    const fresh = `${path}.${process.pid}`;
    rmSync(fresh, { force: true });
    symlinkSync(relative(dirname(path), this.blob(hash)), fresh);
    renameSync(fresh, path);
  }

  setRef(revision: string, commit: string): void {
    if (revision === commit) return;
    const path = join(this.#folder, 'refs', revision);
    mkdirSync(dirname(path), { recursive: true });
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, commit);
    renameSync(fresh, path);
  }
}

/** A whole git commit, in hexadecimal. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);
