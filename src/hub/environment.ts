import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HUB_URL } from '@huggingface/hub';
import { InputError } from '../base/errors.js';
import { systemCode } from '../formats/json.js';

/** Where models come from, as the environment variables of Hugging Face's own tools say. */
export interface HubEnvironment {
  /** HF_ENDPOINT */
  readonly endpoint: string;
  /** HF_TOKEN, else what the file HF_TOKEN_PATH holds, else HF_HOME/token, where `hf auth login` puts it. */
  readonly token: string | undefined;
  /** HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub */
  readonly cache: string;
  /** HF_HUB_OFFLINE: only what is in the cache. */
  readonly offline: boolean;
}

const TRUE = ['1', 'ON', 'YES', 'TRUE'];

export function hubEnvironment(env: NodeJS.ProcessEnv = process.env): HubEnvironment {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  const given = env.HF_TOKEN?.trim();
  return {
    endpoint: (env.HF_ENDPOINT || HUB_URL).replace(/\/+$/, ''),
    token: given ? checkedToken('HF_TOKEN', given) : storedToken(env.HF_TOKEN_PATH || join(home, 'token')),
    cache: env.HF_HUB_CACHE || join(home, 'hub'),
    offline: TRUE.includes((env.HF_HUB_OFFLINE ?? '').toUpperCase()),
  };
}

/** What can't stand in a header is no token; it is never shown. */
function checkedToken(where: string, token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new InputError(
    `${where}: expected an access token of letters and digits on one line, found other characters in it; set it anew`,
  );
}

function storedToken(path: string): string | undefined {
  try {
    const token = readFileSync(path, 'utf8').trim();
    return token === '' ? undefined : checkedToken(path, token);
  } catch (error) {
    if (error instanceof InputError) throw error;
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new InputError(
      `${path}: expected an access token of the Hugging Face Hub, could not read it (${systemCode(error)}); ` +
        'check HF_TOKEN_PATH or set HF_TOKEN',
    );
  }
}
