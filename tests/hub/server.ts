import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A local stand-in for the Hub: info, tree listing, content, and a host of its own for large files. */

/** What one request gets instead of a proper answer. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection breaks after so many bytes of the content; how many of them arrive is up to the network. */
  readonly dropAfter?: number;
  /** The answer ends, in good order, after so many bytes. */
  readonly endAfter?: number;
  /** The content is another one. */
  readonly content?: Buffer;
  /** Ranges are ignored. */
  readonly noRange?: true;
}

export interface HubRequest {
  /** `info`, `tree`, or the path of a file, with `large:` in front where the other host serves it. */
  readonly what: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

const LARGE = /\.(safetensors|bin|parquet|gz|zst)$/;

export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
export const gitSha1 = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
/** The name a file's content has among the blobs of the cache. */
export const blobName = (path: string, content: Buffer): string =>
  LARGE.test(path) ? sha256(content) : gitSha1(content);

export class FakeHub {
  readonly requests: HubRequest[] = [];
  /** Answers that are yet to go wrong, by `what`. */
  readonly faults = new Map<string, Fault[]>();
  endpoint = '';
  readonly name: string;
  readonly commit: string;
  readonly #type: 'model' | 'dataset';
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #branches: readonly string[];
  readonly #hub: Server;
  readonly #large: Server;

  private constructor(
    type: 'model' | 'dataset',
    name: string,
    files: ReadonlyMap<string, Buffer>,
    branches: readonly string[],
  ) {
    this.#type = type;
    this.name = name;
    this.#files = files;
    this.#branches = branches;
    this.commit = createHash('sha1').update(name).digest('hex');
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#large = createServer((request, response) => this.#answerLarge(request, response));
  }

  /** A Hub with one model or dataset. */
  static async start(
    name: string,
    files: Readonly<Record<string, Buffer>>,
    branches: readonly string[] = ['main'],
    type: 'model' | 'dataset' = 'model',
  ): Promise<FakeHub> {
    const hub = new FakeHub(type, name, new Map(Object.entries(files)), branches);
    for (const server of [hub.#hub, hub.#large]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    hub.endpoint = urlOf(hub.#hub);
    return hub;
  }

  /** Ranges asked for of a file, in order; undefined for all of it. */
  rangesOf(what: string): (string | undefined)[] {
    return this.requests.filter((request) => request.what === what).map(({ range }) => range);
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#large]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Notes the request and takes its fault, if it is to have one. */
  #take(what: string, { headers }: IncomingMessage): Fault | undefined {
    const { authorization, range } = headers;
    this.requests.push({ what, authorization, range });
    return this.faults.get(what)?.shift();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url!, this.endpoint).pathname;
    const revision = (prefix: string) =>
      path.startsWith(prefix) ? decodeURIComponent(path.slice(prefix.length)) : undefined;
    const info = revision(`/api/${this.#type}s/${this.name}/revision/`);
    const tree = revision(`/api/${this.#type}s/${this.name}/tree/${this.commit}`);
    const content = revision(
      `/${this.#type === 'model' ? '' : 'datasets/'}${this.name}/resolve/${this.commit}/`,
    );
    if (info !== undefined) this.#info(info, request, response);
    else if (tree !== undefined) this.#tree(tree, request, response);
    else if (content !== undefined) this.#content(content, request, response);
    else refuse(response, { status: 401, headers: { 'X-Error-Code': 'RepoNotFound' } });
  }

  #info(revision: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#take('info', request);
    const isKnown = [...this.#branches, this.commit].includes(revision);
    const notFound = { status: 404, headers: { 'X-Error-Code': 'RevisionNotFound' } };
    if (fault || !isKnown) refuse(response, fault ?? notFound);
    else sendJson(response, { id: this.name, sha: this.commit, lastModified: '2025-01-01T00:00:00.000Z' });
  }

  /** @param folder empty, or with a slash in front */
  #tree(folder: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#take('tree', request);
    const isRecursive = new URL(request.url!, this.endpoint).searchParams.get('recursive') === 'true';
    const inside = [...this.#files].filter(([path]) => `/${path}`.startsWith(`${folder}/`));
    const listed = isRecursive
      ? inside
      : inside.filter(([path]) => !`/${path}`.slice(folder.length + 1).includes('/'));
    const folders = new Set(inside.flatMap(([path]) => (path.includes('/') ? path.split('/')[0]! : [])));
    const files = listed.map(([path, content]) => {
      const [size, oid] = [content.length, gitSha1(content)];
      const lfs = LARGE.test(path) ? { lfs: { oid: sha256(content), size, pointerSize: 134 } } : {};
      return { type: 'file', path, size, oid, ...lfs };
    });
    if (fault) refuse(response, fault);
    else if (folder !== '' && inside.length === 0) {
      refuse(response, { status: 404, headers: { 'X-Error-Code': 'EntryNotFound' } });
    } else {
      const directories = [...folders].map((path) => ({
        type: 'directory',
        path,
        size: 0,
        oid: '0'.repeat(40),
      }));
      sendJson(response, [...directories, ...files]);
    }
  }

  #content(path: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#take(path, request);
    const content = this.#files.get(path);
    if (!content) refuse(response, { status: 404, headers: { 'X-Error-Code': 'EntryNotFound' } });
    else if (fault || !LARGE.test(path)) send(request, response, content, fault);
    else response.writeHead(302, { location: `${urlOf(this.#large)}/${encodeURIComponent(path)}` }).end();
  }

  #answerLarge(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url!.slice(1));
    send(request, response, this.#files.get(path)!, this.#take(`large:${path}`, request));
  }
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function refuse(response: ServerResponse, { status = 500, headers }: Fault): void {
  response.writeHead(status, headers).end('no');
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function send(request: IncomingMessage, response: ServerResponse, content: Buffer, fault: Fault = {}): void {
  if (fault.status !== undefined) refuse(response, fault);
  else {
    const whole = fault.content ?? content;
    const range = fault.noRange ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [start, last] = [Number(range?.[1] ?? 0), Number(range?.[2] || whole.length - 1)];
    const part = whole.subarray(start, Math.min(last + 1, start + (fault.endAfter ?? whole.length)));
    const contentRange = { 'content-range': `bytes ${start}-${last}/${whole.length}` };
    response.writeHead(range ? 206 : 200, { 'content-length': part.length, ...(range && contentRange) });
    if (fault.dropAfter === undefined) response.end(part);
    else response.write(part.subarray(0, fault.dropAfter), () => response.destroy());
  }
}
