import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '../base/errors.js';
import { shardFiles } from '../formats/modelShards.js';
import type { TensorInfo } from '../formats/safetensors.js';
import { HubClient } from './client.js';
import { hubEnvironment } from './environment.js';
import { explained, type Wanted } from './explained.js';
import { MODEL_WEIGHTS, missingFile, WEIGHTS_INDEX } from './files.js';
import { RemoteBytes } from './remoteFile.js';
import { remoteHeader } from './remoteTensors.js';
import { ADVICE, type LocalModel, type ResolveOptions, repositoryOf, resolveModel } from './resolveModel.js';

/** A model whose weights need not be here. */
export interface ModelOutline extends LocalModel {
  /** Of weights on the Hub alone: what their headers say, by name; undefined where they are here, or nowhere to be asked for. */
  readonly headers: ReadonlyMap<string, TensorInfo> | undefined;
}

/**
 * A model as `resolveModel` finds it, without fetching its weights: of those that are not in the cache the headers are
 * read on the Hub, some hundred kilobytes.
 * @throws InputError, RunError as `resolveModel` does, and InputError for a damaged header
 */
export async function outlineModel(
  text: string,
  options: Omit<ResolveOptions, 'kind'> = {},
): Promise<ModelOutline> {
  const found = await resolveModel(text, { ...options, kind: 'outline' });
  const { environment = hubEnvironment(), delay = sleep, signal } = options;
  const isHere = missingFile('model', found.folder) === undefined;
  if (found.commit === undefined || isHere || environment.offline) return { ...found, headers: undefined };
  const { folder, commit } = found;
  const name = repositoryOf(text)!;
  const wanted: Wanted = { text, type: 'model', name, revision: commit, environment };
  const client = new HubClient(environment, delay, signal);
  try {
    const { files } = await client.list(wanted, commit);
    const headers = new Map<string, TensorInfo>();
    for (const path of weightFiles(folder)) {
      const file = files.get(path);
      if (!file)
        throw new InputError(`${text}: expected ${path} among its files, found none; ${ADVICE.model}`);
      const bytes = new RemoteBytes(`${name}/${path}`, file, { wanted, commit, client, delay });
      for (const [tensor, info] of await remoteHeader(bytes)) headers.set(tensor, info);
    }
    return { ...found, headers };
  } catch (error) {
    throw explained(error, wanted, undefined);
  }
}

function weightFiles(folder: string): string[] {
  const index = join(folder, WEIGHTS_INDEX);
  return existsSync(index) ? shardFiles(index) : [MODEL_WEIGHTS];
}
