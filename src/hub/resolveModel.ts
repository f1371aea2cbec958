import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { excerpt, InputError } from '../base/errors.js';
import { shardFiles } from '../formats/modelShards.js';
import { madeIn } from '../formats/runFolder.js';
import type { DownloadRecord } from '../records.js';
import { CachedRepository, isCommit } from './cache.js';
import { HubClient } from './client.js';
import { download, type RemoteFile } from './download.js';
import { type HubEnvironment, hubEnvironment } from './environment.js';
import { explained, type Wanted } from './explained.js';
import { brokenLink, type ModelKind, missingFile, neededFiles, neededFolders } from './files.js';
import { BadAnswer, type Delay } from './retry.js';

export interface ResolveOptions {
  /** What the folder must hold (default: a model). */
  readonly kind?: ModelKind;
  readonly onProgress?: ((record: DownloadRecord) => void) | undefined;
  readonly environment?: HubEnvironment;
  readonly delay?: Delay;
  /** Ends requests and pauses: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface LocalModel {
  readonly folder: string;
  /** Of a model by Hub name: the commit, to name the same files again with `owner/name@commit`. */
  readonly commit: string | undefined;
}

const HUB_NAME = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w.-]*(?:\/[\w-][\w.-]*)*))?$/;

/** `owner/name` of `owner/name@revision`; undefined for anything else. */
export const repositoryOf = (text: string): string | undefined => HUB_NAME.exec(text)?.[1];

/**
 * The folder of a model: `text` itself where it is one; what the run made where it is the folder of a run or of a
 * checkpoint; else that of `owner/name` or `owner/name@revision` in the Hugging Face cache, fetched from the Hub when it
 * is not there yet. What is in the cache is used without asking the Hub for anything newer.
 * @throws InputError when there is no such model or no access to it. @throws RunError when fetching it fails
 */
export async function resolveModel(text: string, options: ResolveOptions = {}): Promise<LocalModel> {
  const found = statSync(text, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    const folder = madeIn(text, options.kind === 'adapter' ? 'adapter' : 'model');
    const broken = brokenLink(options.kind ?? 'model', folder);
    if (broken === undefined) return { folder, commit: undefined };
    throw new InputError(
      `${join(folder, broken)}: expected a file, found a link to nothing; put the file there, or take the link away`,
    );
  }
  const [, name, revision = 'main'] = HUB_NAME.exec(text) ?? [];
  if (name === undefined || found) {
    throw new InputError(
      `${text}: expected a model's folder, or owner/name of one on the Hugging Face Hub, ` +
        `found ${found ? 'a file' : 'neither'}; check the path`,
    );
  }
  const { kind = 'model', environment = hubEnvironment() } = options;
  const repository = new CachedRepository(environment.cache, { type: 'model', name });
  const commit = repository.commitOf(revision);
  const missing = commit === undefined ? 'the model' : missingFile(kind, repository.snapshot(commit));
  if (commit !== undefined && missing === undefined) return { folder: repository.snapshot(commit), commit };
  if (environment.offline) {
    throw new InputError(
      `${text}: expected a folder, or a model in the cache ${environment.cache} (HF_HUB_OFFLINE is set), ` +
        `found no ${missing === 'the model' ? 'such model' : missing}; unset HF_HUB_OFFLINE to fetch it`,
    );
  }
  const wanted: Wanted = { text, type: 'model', name, revision, environment };
  return new Fetch(wanted, kind, repository, options).run();
}

/** What to do about a repository that lacks a file. */
export const ADVICE: Readonly<Record<ModelKind, string>> = {
  model: 'choose a model that is saved as safetensors, with a tokenizer.json',
  outline: 'choose a model that is saved as safetensors, with a tokenizer.json',
  adapter: 'choose a LoRA adapter that is saved as safetensors; a .bin can be fetched and converted by hand',
  tokenizer: 'choose a model with a tokenizer.json',
};

/** One model on its way from the Hub into the cache. */
class Fetch {
  readonly #wanted: Wanted;
  readonly #kind: ModelKind;
  readonly #repository: CachedRepository;
  readonly #client: HubClient;
  readonly #delay: Delay;
  readonly #onProgress: (record: DownloadRecord) => void;
  #file: string | undefined;
  #total = 0;
  #done = 0;

  constructor(wanted: Wanted, kind: ModelKind, repository: CachedRepository, options: ResolveOptions) {
    this.#wanted = wanted;
    this.#kind = kind;
    this.#repository = repository;
    const { signal } = options;
    this.#delay = options.delay ?? ((ms) => sleep(ms, undefined, { signal }));
    this.#client = new HubClient(wanted.environment, this.#delay, signal);
    this.#onProgress = options.onProgress ?? (() => {});
  }

  async run(): Promise<LocalModel> {
    try {
      return await this.#run();
    } catch (error) {
      throw explained(error, this.#wanted, this.#file);
    }
  }

  async #run(): Promise<LocalModel> {
    const { revision } = this.#wanted;
    const commit = await this.#client.commitOf(this.#wanted, revision);
    if (!isCommit(commit)) throw new BadAnswer(`${excerpt(commit)} as the commit of ${revision}`);
    const listing = await this.#list(commit);
    const needed = neededFiles(this.#kind, new Set(listing.keys()));
    if ('missing' in needed) throw this.#incomplete(needed.missing, listing);
    await this.#fetchAll(commit, needed.files, listing);
    if (needed.index !== undefined) {
      const shards = shardFiles(join(this.#repository.snapshot(commit), needed.index));
      await this.#fetchAll(commit, shards, listing);
    }
    // Last, so that a ref never stands for a snapshot that was not fetched.
    this.#repository.setRef(revision, commit);
    return { folder: this.#repository.snapshot(commit), commit };
  }

  /** Files that may be needed, by path: those in the top folder, and in folders that are taken along. */
  async #list(commit: string): Promise<ReadonlyMap<string, RemoteFile>> {
    const { files, folders } = await this.#client.list(this.#wanted, commit);
    const listing = new Map(files);
    for (const folder of neededFolders(this.#kind, folders)) {
      const inside = await this.#client.list(this.#wanted, commit, folder);
      for (const [path, file] of inside.files) listing.set(path, file);
    }
    return listing;
  }

  async #fetchAll(
    commit: string,
    paths: readonly string[],
    listing: ReadonlyMap<string, RemoteFile>,
  ): Promise<void> {
    const files = paths.map((path) => {
      const file = listing.get(path);
      if (!file) throw this.#incomplete(path, listing);
      return file;
    });
    this.#total += files.reduce((sum, { size }) => sum + size, 0);
    for (const file of files) await this.#fetch(commit, file);
  }

  async #fetch(commit: string, file: RemoteFile): Promise<void> {
    this.#file = file.path;
    const { name } = this.#wanted;
    const blob = this.#repository.blob(file.hash);
    const onBytes = (bytes: number) =>
      this.#onProgress({
        type: 'download',
        model: name,
        file: file.path,
        bytes: this.#done + Math.min(bytes, file.size),
        total_bytes: this.#total,
      });
    if (!existsSync(blob)) {
      const request = (headers: Readonly<Record<string, string>>) =>
        this.#client.request(this.#wanted, commit, file.path, headers);
      await download({ file, blob, request, delay: this.#delay, onBytes });
    }
    this.#repository.link(commit, file.path, file.hash);
    this.#done += file.size;
    onBytes(0);
    this.#file = undefined;
  }

  #incomplete(missing: string, listing: ReadonlyMap<string, RemoteFile>): InputError {
    const found = [...listing.keys()].filter((path) =>
      /\.(safetensors|bin|gguf|pth?|json|model)$/.test(path),
    );
    return new InputError(
      `${this.#wanted.text}: expected ${missing} among its files, found ${found.join(', ') || 'none'}; ` +
        ADVICE[this.#kind],
    );
  }
}
