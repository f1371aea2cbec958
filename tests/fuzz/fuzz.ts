import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { projectRoot } from '../support.js';

interface Line {
  readonly number?: number;
  readonly what?: string;
  readonly problem?: string;
  readonly tally?: Tally;
}

/** How many damaged files were read all the same, and how many refused. */
export interface Tally {
  readonly results: number;
  readonly errors: number;
}

/** Of the wall clock, beyond the 2 s of processor time that the loop itself checks: only a hang takes that long. */
const HANG_MS = 20_000;

/** What is damaged and loaded. */
export type TargetSet = 'loaders' | 'documents';

/** Loads `count` damaged files in a process of its own, from case `first` on. */
export async function fuzz(set: TargetSet, first: number, count: number): Promise<Tally> {
  const script = join(projectRoot, 'build/tests/fuzz/fuzzLoop.js');
  const options = ['--max-old-space-size=256'];
  const child = spawn(process.execPath, [...options, script, set, String(first), String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last: Line = {};
  let hung = false;
  const failures: Line[] = [];
  const kill = () => {
    hung = true;
    child.kill('SIGKILL');
  };
  let timer = setTimeout(kill, HANG_MS);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  for await (const text of createInterface({ input: child.stdout })) {
    last = JSON.parse(text) as Line;
    if (last.problem !== undefined) failures.push(last);
    clearTimeout(timer);
    timer = setTimeout(kill, HANG_MS);
  }
  const code = await ended;
  clearTimeout(timer);
  if (!last.tally) failures.push({ ...last, problem: hung ? 'hung' : `ended the process (code ${code})` });
  const lines = failures.slice(0, 20).map((line) => describe(set, line));
  assert.is(failures.length, 0, `${failures.length} of ${count} cases:\n${lines.join('\n')}`);
  return last.tally!;
}

const describe = (set: TargetSet, { number, what, problem }: Line): string =>
  `${what}: ${problem}\n  again: node build/tests/fuzz/fuzzLoop.js ${set} ${number} 1`;
