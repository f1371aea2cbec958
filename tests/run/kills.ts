import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, watch } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { randomUint32 } from '#src/data/random.js';
import { readCheckpoint } from '#src/formats/checkpoint.js';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import type { TrainInput } from '#src/options/train.js';
import type { Fixture } from '../fixtures.js';
import { adapterBytes, flags, runProgram, startProgram, timelessMetrics } from './process.js';

/** SIGKILLs real runs at random instants and resumes them, until all is as if nothing had happened. */

/** All of a run's state is in play: micro-batches, dropout, moments, shuffled rows of two epochs, evaluations. */
export const runOptions = ({ student, teacher, jsonl, text }: Fixture): TrainInput => ({
  student,
  teacher,
  data: [jsonl, text],
  batch: 8,
  microBatch: 4,
  sequence: 32,
  shuffleRows: 13,
  evalFraction: 0.2,
  evalTokens: 1024,
  steps: 12,
  rank: 4,
  loraDropout: 0.1,
  lr: 1e-2,
  weightDecay: 0.01,
  threads: 1,
  out: 'run',
  evalEvery: 4,
  checkpointEvery: 3,
});

export interface Outcome {
  readonly adapter: Buffer;
  readonly metrics: readonly string[];
}

export interface Reference extends Outcome {
  /** From the start of its process to its end. */
  readonly lifeMs: number;
}

export const outcomeOf = (run: string): Outcome => ({
  adapter: adapterBytes(run),
  metrics: timelessMetrics(run),
});

export function assertSameOutcome(run: string, reference: Outcome, what: string): void {
  const { adapter, metrics } = outcomeOf(run);
  metrics.forEach((line, i) => {
    assert.is(line, reference.metrics[i], `line ${i + 1} of metrics.jsonl differs ${what}`);
  });
  assert.is(metrics.length, reference.metrics.length, `lines of metrics.jsonl ${what}`);
  assert.ok(adapter.equals(reference.adapter), `the adapter's bytes differ ${what}`);
}

/** A run that nobody disturbs. */
export async function undisturbed(
  fixture: Fixture,
  options = runOptions(fixture),
  cwd = mkdtempSync(join(fixture.folder, 'undisturbed-')),
): Promise<Reference> {
  const start = performance.now();
  const { code, stderr } = await runProgram('train', flags(options), { cwd });
  assert.is(code, 0, stderr);
  return { ...outcomeOf(join(cwd, 'run')), lifeMs: performance.now() - start };
}

type Dice = () => number;

/** Numbers in [0, 1) from a seed. */
function diceOf(seed: number): Dice {
  let throws = 0;
  return () => randomUint32(seed, 0, throws++) / 2 ** 32;
}

const MOST_KILLS_OF_A_RUN = 4;

/**
 * Starts, kills and resumes runs until `kills` processes have been killed.
 * @param check what else is to be as if nothing had happened
 * @returns how far each had come
 */
export async function killRuns(
  fixture: Fixture,
  reference: Reference,
  kills: number,
  seed: number,
  options = runOptions(fixture),
  check: (cwd: string) => void = () => {},
): Promise<string[]> {
  const dice = diceOf(seed);
  const struck: string[] = [];
  while (struck.length < kills) {
    const cwd = mkdtempSync(join(fixture.folder, 'killed-'));
    const wanted = 1 + Math.floor(dice() * Math.min(MOST_KILLS_OF_A_RUN, kills - struck.length));
    const places = await killRun(options, cwd, wanted, dice, reference.lifeMs);
    struck.push(...places);
    assertSameOutcome(join(cwd, 'run'), reference, `after kills at ${places.join(', ')} (${cwd})`);
    check(cwd);
  }
  return struck;
}

/** One run, killed up to `kills` times, until it ends by itself. */
async function killRun(
  options: TrainInput,
  cwd: string,
  kills: number,
  dice: Dice,
  lifeMs: number,
): Promise<string[]> {
  const run = join(cwd, 'run');
  mkdirSync(join(run, 'checkpoints'), { recursive: true });
  const places: string[] = [];
  for (let resume = false; ; resume = true) {
    const { child, ended } = startProgram('train', flags({ ...options, resume }), { cwd });
    const stopWatching = places.length < kills ? strike(child, run, dice, lifeMs) : () => {};
    const { code, signal, stderr } = await ended;
    stopWatching();
    if (signal !== 'SIGKILL') {
      assert.is(code, 0, stderr);
      return places;
    }
    places.push(assertWhole(run, options.init === 'pissa'));
  }
}

/**
 * Kills a process: after a time anywhere in its life, or a few milliseconds after something has happened in the run's
 * folder (a record, the adapter) or in that of its checkpoints.
 */
function strike(child: ChildProcess, run: string, dice: Dice, lifeMs: number): () => void {
  const kind = dice();
  const kill = (delayMs: number) => setTimeout(() => child.kill('SIGKILL'), delayMs);
  if (kind < 0.4) {
    const timer = kill(dice() * lifeMs);
    return () => clearTimeout(timer);
  }
  const [folder, most] = kind < 0.7 ? [run, 24] : [join(run, 'checkpoints'), 8];
  let left = 1 + Math.floor(dice() * most);
  const delayMs = dice() * 5;
  const watcher = watch(folder, () => {
    if (--left === 0) kill(delayMs);
  });
  return () => watcher.close();
}

/** Every published checkpoint is whole. @returns the last one's step */
function assertWhole(run: string, hasStart: boolean): string {
  const checkpoints = listCheckpoints(join(run, 'checkpoints'));
  for (const { path, step } of checkpoints) {
    assert.is(readCheckpoint(path, 'adapter', hasStart).state.step, step);
  }
  return `step ${checkpoints.at(-1)?.step ?? 0}`;
}
