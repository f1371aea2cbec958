import { execFile, spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../support.js';

/** The Python environment of the interop suite, outside of the project. */

const scripts = join(projectRoot, 'tests/interop');
const environment = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rivulet/interop');

/** Whether there is one; it is made where it can be, and what it has is printed. */
export function prepareEnvironment(): boolean {
  const setup = spawnSync('bash', [join(scripts, 'setup.sh'), environment], { encoding: 'utf8' });
  const isReady = setup.status === 0;
  console.log(isReady ? setup.stdout.trim() : `skipped: ${setup.stderr?.trim() || setup.error?.message}`);
  return isReady;
}

/** Runs a script of the suite, or another of the project. @returns the last line it printed */
export async function python(script: string, ...args: string[]): Promise<string> {
  const interpreter = process.env.RIVULET_PYTHON ?? join(environment, 'bin/python');
  const { stdout } = await promisify(execFile)(interpreter, [join(scripts, script), ...args]);
  return stdout.trimEnd().split('\n').at(-1)!;
}
