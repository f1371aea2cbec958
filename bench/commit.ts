import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Beside the compiled benches: what was checked out when they were built, for machines without git. */
export const COMMIT_FILE = new URL('./commit', import.meta.url);

/** What is checked out here, as `git describe` names it; undefined without git or outside of a repository. */
export function checkedOut(): string | undefined {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: [...stdio],
    }).trim();
  } catch {
    return undefined;
  }
}

/** The commit that is measured. */
export function commit(): string {
  const here = checkedOut();
  if (here !== undefined) return here;
  try {
    return readFileSync(COMMIT_FILE, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
