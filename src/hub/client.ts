import { datasetInfo, listFiles, modelInfo } from '@huggingface/hub';
import type { RemoteFile } from './download.js';
import type { HubEnvironment } from './environment.js';
import { type Delay, HttpError, retrying } from './retry.js';

export interface Repository {
  readonly type: 'model' | 'dataset';
  /** owner/name */
  readonly name: string;
}

/** Reads from the Hub, or from a server that speaks the same API. Every method rejects with HttpError. */
export class HubClient {
  readonly #environment: HubEnvironment;
  readonly #delay: Delay;
  readonly #signal: AbortSignal | undefined;

  /** @param signal ends requests, and answers that are under way */
  constructor(environment: HubEnvironment, delay: Delay, signal?: AbortSignal) {
    this.#environment = environment;
    this.#delay = delay;
    this.#signal = signal;
  }

  /** The commit that a branch or a tag stands for now. */
  async commitOf({ type, name }: Repository, revision: string): Promise<string> {
    const options = { name, revision, additionalFields: ['sha' as const], ...this.#access() };
    const { sha } = await retrying(
      () => (type === 'model' ? modelInfo(options) : datasetInfo(options)),
      this.#delay,
    );
    return sha;
  }

  /** The files of a commit, by path: those in its top folder, or all that are in `under` and its folders. */
  list(repo: Repository, commit: string, under?: string): Promise<Map<string, RemoteFile>> {
    return retrying(async () => {
      const files = new Map<string, RemoteFile>();
      const where = under === undefined ? {} : { recursive: true, path: encodePath(under) };
      const entries = listFiles({ repo, revision: commit, ...where, ...this.#access() });
      for await (const { type, path, size, oid, lfs } of entries) {
        const hash = lfs?.oid ?? oid ?? '';
        if (type === 'file' && isHash(hash)) files.set(path, { path, size: lfs?.size ?? size, hash });
      }
      return files;
    }, this.#delay);
  }

  /** Requests a file's content, once. Redirects to another host lose the token, as fetch does it. */
  request(
    { type, name }: Repository,
    commit: string,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const repository = type === 'model' ? name : `datasets/${name}`;
    const url = `${this.#environment.endpoint}/${repository}/resolve/${commit}/${encodePath(path)}`;
    // Ranges and sizes are those of the content, not of a compressed form.
    return this.#fetch(url, { headers: { ...headers, 'accept-encoding': 'identity' } });
  }

  #access() {
    return {
      hubUrl: this.#environment.endpoint,
      fetch: (url: string | URL | Request, init?: RequestInit) => this.#fetch(url, init),
    };
  }

  /** The token is added here: the library accepts none that does not start with `hf_`, other servers' do not. */
  async #fetch(url: string | URL | Request, init?: RequestInit): Promise<Response> {
    const headers = new Headers(init?.headers);
    const { token } = this.#environment;
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    const stop = this.#signal && { signal: this.#signal };
    const response = await fetch(url, { ...init, ...stop, headers });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new HttpError(response);
  }
}

const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** SHA-1 or SHA-256: it becomes the name of a file. */
const isHash = (text: string): boolean => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
