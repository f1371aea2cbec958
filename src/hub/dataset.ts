import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { excerpt, InputError } from '../base/errors.js';
import { parseAddress, SCHEME } from './address.js';
import { CachedRepository, isCommit } from './cache.js';
import { HubClient } from './client.js';
import type { RemoteFile } from './download.js';
import { type HubEnvironment, hubEnvironment } from './environment.js';
import { explained, type Wanted } from './explained.js';
import { RemoteBytes } from './remoteFile.js';
import { BadAnswer, type Delay, HttpError } from './retry.js';

export interface DatasetOptions {
  readonly environment?: HubEnvironment;
  readonly delay?: Delay;
  /** Ends requests and pauses: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The commit that an address stands for now. @throws InputError, RunError as `openDataset` does */
export async function datasetCommit(text: string, options: DatasetOptions = {}): Promise<string> {
  return (await connect(text, options)).commit;
}

/** A dataset on the Hub, or as much of it as the cache holds when the Hub is not to be asked. */
export interface Dataset {
  readonly commit: string;
  /** Where the cache has the files, without the Hub. */
  readonly folder: string | undefined;
  /** Files below a folder, or the one file of that name. */
  list(under: string): Promise<RemoteFile[]>;
  /** A file that is in the cache as a whole. */
  cached(file: RemoteFile): string | undefined;
  /** Reads a file where it is. */
  bytes(file: RemoteFile): RemoteBytes;
}

/**
 * @throws InputError when there is no such dataset, no access to it, or when it is not in the cache and the Hub is not
 * to be asked; RunError when the Hub fails
 */
export async function openDataset(text: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { wanted, commit, repository, client, delay } = await connect(text, options);
  return {
    commit,
    folder: client ? undefined : repository.snapshot(commit),
    list: (under) => listFiles(client!, wanted, commit, under),
    cached(file) {
      const blob = repository.blob(file.hash);
      return statSync(blob, { throwIfNoEntry: false })?.size === file.size ? blob : undefined;
    },
    bytes(file) {
      const name = `${SCHEME}datasets/${wanted.name}/${file.path}`;
      return new RemoteBytes(name, file, { wanted, commit, client: client!, delay });
    },
  };
}

interface Connection {
  readonly wanted: Wanted;
  readonly commit: string;
  readonly repository: CachedRepository;
  /** Absent offline. */
  readonly client: HubClient | undefined;
  readonly delay: Delay;
}

async function connect(
  text: string,
  { environment = hubEnvironment(), signal, ...options }: DatasetOptions,
): Promise<Connection> {
  const delay = options.delay ?? ((ms) => sleep(ms, undefined, { signal }));
  const { name, revision } = parseAddress(text);
  const wanted: Wanted = { text, type: 'dataset', name, revision, environment };
  const repository = new CachedRepository(environment.cache, wanted);
  if (environment.offline) {
    const commit = repository.commitOf(revision);
    if (commit !== undefined && existsSync(repository.snapshot(commit))) {
      return { wanted, commit, repository, client: undefined, delay };
    }
    throw new InputError(
      `${text}: expected a dataset in the cache ${environment.cache} (HF_HUB_OFFLINE is set), found none; ` +
        'unset HF_HUB_OFFLINE to read it from the Hub',
    );
  }
  const client = new HubClient(environment, delay, signal);
  if (isCommit(revision)) return { wanted, commit: revision, repository, client, delay };
  try {
    const commit = await client.commitOf(wanted, revision);
    if (!isCommit(commit)) throw new BadAnswer(`${excerpt(commit)} as the commit of ${revision}`);
    return { wanted, commit, repository, client, delay };
  } catch (error) {
    throw explained(error, wanted, undefined);
  }
}

/** Of what is no folder the Hub lists nothing: then the folder around it is asked. */
async function listFiles(
  client: HubClient,
  wanted: Wanted,
  commit: string,
  under: string,
): Promise<RemoteFile[]> {
  try {
    const found = await listFolder(client, wanted, commit, under);
    if (found.length > 0 || under === '') return found;
    const parent = under.split('/').slice(0, -1).join('/');
    return (await listFolder(client, wanted, commit, parent)).filter(({ path }) => path === under);
  } catch (error) {
    throw explained(error, wanted, undefined);
  }
}

async function listFolder(
  client: HubClient,
  wanted: Wanted,
  commit: string,
  under: string,
): Promise<RemoteFile[]> {
  try {
    return [...(await client.list(wanted, commit, under)).files.values()];
  } catch (error) {
    if (error instanceof HttpError && error.status === 404 && error.code === 'EntryNotFound') return [];
    throw error;
  }
}
