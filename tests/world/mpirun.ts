import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Family } from '#src/world/launch.js';

/** A way to start ranks that is installed here. */
export interface Launcher {
  readonly family: Family;
  readonly command: string;
  /** Before `-np N` and the program. */
  readonly args: readonly string[];
}

/** What became of ranks that were started together. */
export interface Ended {
  /** The launcher's. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Ranks {
  readonly launcher: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when stdout holds `text` so many times; rejects when they end before. */
  said(text: string, times: number): Promise<void>;
}

/** Where there are more ranks than cores; containers and CI are root. */
const OPEN_MPI_ARGS = [
  '--oversubscribe',
  '--bind-to',
  'none',
  ...(process.getuid?.() === 0 ? ['--allow-run-as-root'] : []),
];

/** Debian has both libraries and names their launchers apart; elsewhere there is one. */
export const launchers: readonly Launcher[] = findLaunchers(['mpirun.openmpi', 'mpirun.mpich', 'mpirun']);

function findLaunchers(commands: readonly string[]): Launcher[] {
  const found = new Map<Family, Launcher>();
  for (const command of commands) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const family = /Open MPI|OpenRTE/.test(stdout) ? 'Open MPI' : 'MPICH';
    const args = family === 'Open MPI' ? OPEN_MPI_ARGS : [];
    if (!found.has(family)) found.set(family, { family, command, args });
  }
  return [...found.values()];
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const { pid } of running) process.kill(pid!, 'SIGKILL');
});

/** Variables of a launcher that the tests were themselves started by. */
const OF_LAUNCHERS = /^(OMPI_|PMI|HYD|MPI_|SLURM_|RANK$|WORLD_SIZE$|LOCAL_RANK$)/;

/** The environment of these tests, as one who was started alone has it. */
export const aloneEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_LAUNCHERS.test(name)));

export interface RanksOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** After which the launcher is killed, and its ranks end as they do then. */
  readonly limitMs?: number;
}

/**
 * Starts `node` as many times as there are ranks.
 * @param args of node: a script and what it takes
 */
export function startRanks(
  { command, args }: Launcher,
  ranks: number,
  nodeArgs: readonly string[],
  { cwd, env = aloneEnvironment(), limitMs = 60_000 }: RanksOptions = {},
): Ranks {
  const start = performance.now();
  const launcher = spawn(command, [...args, '-np', String(ranks), process.execPath, ...nodeArgs], {
    ...(cwd !== undefined && { cwd }),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(launcher);
  const limit = setTimeout(() => launcher.kill('SIGKILL'), limitMs);
  const texts = { stdout: '', stderr: '' };
  launcher.stdout.setEncoding('utf8').on('data', (text) => {
    texts.stdout += text;
  });
  launcher.stderr.setEncoding('utf8').on('data', (text) => {
    texts.stderr += text;
  });
  launcher.once('exit', () => running.delete(launcher));
  const ended = once(launcher, 'close').then(([code]): Ended => {
    clearTimeout(limit);
    return { code, ...texts, ms: performance.now() - start };
  });
  const said = async (text: string, times: number) => {
    while (texts.stdout.split(text).length <= times) {
      await Promise.race([once(launcher.stdout, 'data'), ended.then(tooSoon)]);
    }
  };
  return { launcher, ended, said };
}

function tooSoon({ code, stdout, stderr }: Ended): never {
  throw new Error(`expected ranks to say more, found that they ended with ${code}: ${stdout}${stderr}`);
}

/** What became of ranks, once all have ended. */
export const runRanks = (...args: Parameters<typeof startRanks>): Promise<Ended> => startRanks(...args).ended;
