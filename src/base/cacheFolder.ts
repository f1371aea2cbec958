import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's cache folder, as the system has it; RIVULET_CACHE puts ours elsewhere. */
export function cacheFolder(env = process.env): string {
  if (env.RIVULET_CACHE) return env.RIVULET_CACHE;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'rivulet');
  const base = process.platform === 'win32' ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  return join(base || join(homedir(), '.cache'), 'rivulet');
}
