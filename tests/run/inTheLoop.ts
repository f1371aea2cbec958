import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainInput } from '#src/options/train.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { type Fixture, makeText } from '../fixtures.js';

/** Runs that evaluate tasks and written answers on the way. */

/** Prompts with completions that are two words of the prompt. */
export function makePrompts(folder: string, count: number): string {
  const path = join(folder, 'prompts.jsonl');
  const lines = Array.from({ length: count }, (_, i) => {
    const words = makeText(40 + i, 5).trim();
    return JSON.stringify({ prompt: `${words} :`, completion: ` ${words.split(' ').slice(0, 2).join(' ')}` });
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Evaluations and checkpoints at other steps, so that decisions wait in checkpoints. */
export const loopOptions = (fixture: Fixture): TrainInput => ({
  ...{ student: fixture.student, data: [makePrompts(fixture.folder, 60)], batch: 8, sequence: 32 },
  ...{ evalFraction: 0.3, steps: 30, rank: 4, lr: 2e-2, warmup: 2, schedule: 'constant' },
  ...{ threads: 1, device: 'wasm', out: 'run', evalEvery: 3, checkpointEvery: 4 },
  ...{ evalTasks: ['winogrande', 'gsm8k'], taskData: madeUpData(), shots: 1, limit: 2 },
  ...{ evalGenerate: 5, maxTokens: 6, keepBest: 'nll', earlyStop: 'winogrande/acc:3' },
});

/** All files of `best/`, and its record. */
export function bestOf(run: string): {
  readonly files: Readonly<Record<string, string>>;
  readonly step: number;
} {
  const folder = join(run, 'best');
  if (!existsSync(folder)) return { files: {}, step: -1 };
  const files = readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), 'latin1')] as const);
  const { step } = JSON.parse(readFileSync(join(folder, 'best.json'), 'utf8')) as { step: number };
  return { files: Object.fromEntries(files), step };
}
