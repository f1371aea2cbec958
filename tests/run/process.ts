import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { flagOf } from '#src/options/table.js';
import type { TrainInput } from '#src/options/train.js';
import { projectRoot } from '../support.js';

/** Runs as processes of their own: the programs as a user starts them. */

export interface Ending {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
  /** Resolves once stderr has matched; rejects when the program ends before that. */
  printed(pattern: RegExp): Promise<void>;
}

/** Options as their flags. */
export function flags(options: Partial<TrainInput>): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === false || value === undefined) return [];
    const values = value === true ? [] : [value].flat().map(String);
    return [flagOf(name), ...values];
  });
}

export interface ProgramOptions {
  readonly cwd: string;
  /** Modules that are loaded before the program. */
  readonly imports?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** What its stdin holds; absent: it has none. */
  readonly input?: string;
}

/** `node dist/NAME.js ARGUMENTS` in a folder. */
export function startProgram(
  name: 'train' | 'evaluate' | 'tokenize' | 'cache' | 'study' | 'merge' | 'generate' | 'rivulet',
  args: readonly string[],
  { cwd, imports = [], env = {}, input }: ProgramOptions,
): Program {
  const script = join(projectRoot, 'dist', `${name}.js`);
  const preloads = imports.flatMap((file) => ['--import', file]);
  const child = spawn(process.execPath, [...preloads, script, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(input);
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const printed = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => pattern.test(stderr) && resolve();
      child.stderr!.on('data', look);
      look();
      ended.then(
        (ending) => reject(new Error(`expected ${pattern}, found ${JSON.stringify(ending)}`)),
        reject,
      );
    });
  return { child, ended, printed };
}

export const runProgram = (...start: Parameters<typeof startProgram>): Promise<Ending> =>
  startProgram(...start).ended;

/** What differs between two runs of the same options: the times, and the memory that the system gave. */
const TIMES = new Set(['elapsed_s', 'tokens_per_s', 'busy', 'wait', 'memory_bytes']);

/** `metrics.jsonl` without what depends on time. */
export function timelessMetrics(run: string): string[] {
  const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) =>
    JSON.stringify(JSON.parse(line), (key, value) => (TIMES.has(key) ? undefined : value)),
  );
}

export const adapterBytes = (run: string): Buffer =>
  readFileSync(join(run, 'adapter', 'adapter_model.safetensors'));
