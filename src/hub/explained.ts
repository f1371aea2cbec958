import { InputError, RunError } from '../base/errors.js';
import type { Repository } from './client.js';
import { HashMismatch } from './download.js';
import type { HubEnvironment } from './environment.js';
import { BadAnswer, DroppedError, HttpError, networkCode } from './retry.js';

/** What was asked for. */
export interface Wanted extends Repository {
  /** As the user gave it. */
  readonly text: string;
  readonly revision: string;
  readonly environment: HubEnvironment;
}

const DISK_FULL = ['ENOSPC', 'EDQUOT'];
const NOT_WRITABLE = ['EACCES', 'EPERM', 'EROFS'];

/** What went wrong with fetching a model or dataset or, where it is known, a file of it, in one line with what to do. */
export function explained(error: unknown, wanted: Wanted, file: string | undefined): Error {
  if (error instanceof InputError) return error;
  const what = file === undefined ? wanted.text : `${wanted.text}: ${file}`;
  if (error instanceof HttpError) return ofStatus(error, wanted, what);
  const { cache, endpoint } = wanted.environment;
  if (error instanceof HashMismatch) {
    return new RunError(
      `${what}: expected the content that ${endpoint} lists, found ${error.message}; ` +
        'try again, and if it stays so, look at what is between here and there (a proxy?)',
    );
  }
  const code = networkCode(error) ?? badAnswer(error);
  if (code === undefined) return error as Error;
  if (DISK_FULL.includes(code)) {
    return new RunError(
      `${what}: expected room in the cache ${cache}, found the disk full; ` +
        'free some or set HF_HUB_CACHE, then try again: it goes on from here',
    );
  }
  if (NOT_WRITABLE.includes(code)) {
    return new RunError(
      `${what}: expected a cache to write to in ${cache}, found ${code}; check its permissions or set HF_HUB_CACHE`,
    );
  }
  return new RunError(
    `${what}: expected ${file === undefined && wanted.type === 'model' ? 'a folder, or ' : ''}an answer from ${endpoint}, found ${code}; ` +
      'check the name and the network, then try again',
  );
}

/** An answer that ends too early, takes too long, leads nowhere, or is not what was asked for. */
function badAnswer(error: unknown): string | undefined {
  if (error instanceof DroppedError || error instanceof BadAnswer) return error.message;
  const { name, message, cause } = error as Error;
  if (name === 'TimeoutError') return 'none in time';
  if (error instanceof SyntaxError) return message.slice(0, MOST_WORDS);
  return error instanceof TypeError && cause instanceof Error ? cause.message : undefined;
}

/** Of a parser's message, which may hold what it parsed. */
const MOST_WORDS = 200;

function ofStatus({ status, code }: HttpError, wanted: Wanted, what: string): Error {
  const { endpoint, token } = wanted.environment;
  const { type } = wanted;
  if (status === 404 && code === 'RevisionNotFound') {
    return new InputError(
      `${what}: expected a branch, tag or commit of ${wanted.name}, found no ${wanted.revision}; check what follows @`,
    );
  }
  // Without a token the Hub answers 401 for names that do not exist, too, and says so in the code.
  if (status === 404 || code === 'RepoNotFound') {
    const [expected, found] = type === 'model' ? ['a folder or a model', 'neither'] : ['a dataset', 'none'];
    return new InputError(
      `${what}: expected ${expected} on ${endpoint}, found ${found} (${status}); ` +
        `check the name${token === undefined ? `, or log in (HF_TOKEN) if the ${type} is private` : ''}`,
    );
  }
  if (status === 401 || status === 403) {
    const found = token === undefined ? 'no token' : 'that the token has none';
    return new InputError(
      `${what}: expected access, found ${found} (${status}${code ? ` ${code}` : ''}); ` +
        `accept the ${type}'s terms at ${endpoint}/${type === 'model' ? '' : 'datasets/'}${wanted.name} and set HF_TOKEN`,
    );
  }
  return new RunError(
    `${what}: expected an answer from ${endpoint}, found HTTP ${status}; try again later: it goes on from here`,
  );
}
