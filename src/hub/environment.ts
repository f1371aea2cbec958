import { homedir } from 'node:os';
import { join } from 'node:path';
import { HUB_URL } from '@huggingface/hub';

/** Where models come from, as the environment variables of Hugging Face's own tools say. */
export interface HubEnvironment {
  /** HF_ENDPOINT */
  readonly endpoint: string;
  /** HF_TOKEN */
  readonly token: string | undefined;
  /** HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub */
  readonly cache: string;
  /** HF_HUB_OFFLINE: only what is in the cache. */
  readonly offline: boolean;
}

const TRUE = ['1', 'ON', 'YES', 'TRUE'];

export function hubEnvironment(env: NodeJS.ProcessEnv = process.env): HubEnvironment {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: (env.HF_ENDPOINT || HUB_URL).replace(/\/+$/, ''),
    token: env.HF_TOKEN || undefined,
    cache: env.HF_HUB_CACHE || join(home, 'hub'),
    offline: TRUE.includes((env.HF_HUB_OFFLINE ?? '').toUpperCase()),
  };
}
