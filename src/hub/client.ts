import { datasetInfo, listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { excerpt } from '../base/errors.js';
import type { RemoteFile } from './download.js';
import type { HubEnvironment } from './environment.js';
import { BadAnswer, type Delay, HttpError, retrying } from './retry.js';

/** Of one answer about a repository, such as a page of a listing; real ones have less than a megabyte. */
const MOST_ANSWER_BYTES = 2 ** 26;
const ANSWER_MS = 60_000;
/** Of a listing; the Hub's have a thousand files each. */
const MOST_PAGES = 2000;

/** It becomes one in the cache. */
const isPlainPath = (path: string): boolean =>
  path.split('/').every((part) => !['', '.', '..'].includes(part));

const entrySchema = z.object({
  type: z.string(),
  path: z.string().refine(isPlainPath),
  size: z.int().min(0),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string(), size: z.int().min(0) }).optional(),
});

export interface Repository {
  readonly type: 'model' | 'dataset';
  /** owner/name */
  readonly name: string;
}

/** What is in a folder of a commit. */
export interface Listing {
  /** By path. */
  readonly files: ReadonlyMap<string, RemoteFile>;
  /** Paths. */
  readonly folders: ReadonlySet<string>;
}

/**
 * Reads from the Hub, or from a server that speaks the same API, which is not trusted: answers are bounded, and the token
 * goes to the endpoint alone. Every method rejects with HttpError or BadAnswer.
 */
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
    const { sha } = await retrying(() => {
      const options = { name, revision, additionalFields: ['sha' as const], ...this.#access() };
      return understood(() => (type === 'model' ? modelInfo(options) : datasetInfo(options)));
    }, this.#delay);
    return sha;
  }

  /** What a commit has: in its top folder, or in `under` and all its folders. */
  list(repo: Repository, commit: string, under?: string): Promise<Listing> {
    const list = async () => {
      const files = new Map<string, RemoteFile>();
      const folders = new Set<string>();
      const where = under === undefined ? {} : { recursive: true, path: encodePath(under) };
      const entries = listFiles({ repo, revision: commit, ...where, ...this.#access() });
      for await (const entry of entries) {
        const checked = entrySchema.safeParse(entry);
        if (!checked.success) throw new BadAnswer(`${excerpt(entry)} in a list of files`);
        const { type, path, size, oid, lfs } = checked.data;
        const hash = lfs?.oid ?? oid ?? '';
        if (type === 'file' && isHash(hash)) files.set(path, { path, size: lfs?.size ?? size, hash });
        else if (type === 'directory') folders.add(path);
      }
      return { files, folders };
    };
    return retrying(() => understood(list), this.#delay);
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

  /** For one question, which may take several pages to answer. */
  #access() {
    let pages = 0;
    return {
      hubUrl: this.#environment.endpoint,
      fetch: async (url: string | URL | Request, init?: RequestInit) => {
        if (++pages > MOST_PAGES) throw new BadAnswer(`a list of more than ${MOST_PAGES} pages`);
        const signal = AbortSignal.timeout(ANSWER_MS);
        return bounded(await this.#fetch(url, { ...init, signal }));
      },
    };
  }

  /** The token is added here: the library accepts none that does not start with `hf_`, other servers' do not. */
  async #fetch(url: string | URL | Request, init?: RequestInit): Promise<Response> {
    const { origin } = new URL(url instanceof Request ? url.url : url, this.#environment.endpoint);
    // A page says where the next one is.
    if (origin !== new URL(this.#environment.endpoint).origin) {
      throw new BadAnswer(`a list that goes on at ${origin.slice(0, 100)}`);
    }
    const headers = new Headers(init?.headers);
    const { token } = this.#environment;
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    const signals = [init?.signal, this.#signal].filter((signal) => signal instanceof AbortSignal);
    const response = await fetch(url, { ...init, signal: AbortSignal.any(signals), headers });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new HttpError(response);
  }
}

/** The answer, once all of it is here. */
async function bounded(response: Response): Promise<Response> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MOST_ANSWER_BYTES) throw new BadAnswer(`more than ${MOST_ANSWER_BYTES} bytes`);
    parts.push(part);
  }
  const { status, statusText, headers } = response;
  return new Response(Buffer.concat(parts), { status, statusText, headers });
}

/** The library takes it that answers are of the right form. */
async function understood<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isOfNetwork = !(error instanceof TypeError) || error.cause !== undefined;
    throw isOfNetwork ? error : new BadAnswer('one of another form');
  }
}

const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** SHA-1 or SHA-256: it becomes the name of a file. */
const isHash = (text: string): boolean => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
