import { listFiles, modelInfo } from '@huggingface/hub';
import type { RemoteFile } from './download.js';
import type { HubEnvironment } from './environment.js';
import { type Delay, HttpError, retrying } from './retry.js';

/** Reads from the Hub, or from a server that speaks the same API. Every method rejects with HttpError. */
export class HubClient {
  readonly #environment: HubEnvironment;
  readonly #delay: Delay;

  constructor(environment: HubEnvironment, delay: Delay) {
    this.#environment = environment;
    this.#delay = delay;
  }

  /** The commit that a branch or a tag stands for now. */
  async commitOf(name: string, revision: string): Promise<string> {
    const { sha } = await retrying(
      () => modelInfo({ name, revision, additionalFields: ['sha'], ...this.#access() }),
      this.#delay,
    );
    return sha;
  }

  /** The files in the top folder of a commit, by path. */
  list(name: string, commit: string): Promise<Map<string, RemoteFile>> {
    return retrying(async () => {
      const files = new Map<string, RemoteFile>();
      const repo = { type: 'model', name } as const;
      for await (const { type, path, size, oid, lfs } of listFiles({
        repo,
        revision: commit,
        ...this.#access(),
      })) {
        const hash = lfs?.oid ?? oid ?? '';
        if (type === 'file' && isHash(hash)) files.set(path, { path, size: lfs?.size ?? size, hash });
      }
      return files;
    }, this.#delay);
  }

  /** Requests a file's content, once. Redirects to another host lose the token, as fetch does it. */
  request(
    name: string,
    commit: string,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    const url = `${this.#environment.endpoint}/${name}/resolve/${commit}/${encodeURIComponent(path)}`;
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
    const response = await fetch(url, { ...init, headers });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new HttpError(response);
  }
}

/** SHA-1 or SHA-256: it becomes the name of a file. */
const isHash = (text: string): boolean => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
