import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readModelConfig } from '#src/model/config.js';
import { loraShapes, parameterCount, targetModules } from '#src/model/lora.js';
import type { StepRecord } from '#src/records.js';
import { makeJsonl, STUDENT, writeModel } from '#tests/fixtures.js';
import { flags } from '#tests/run/process.js';
import { type Launcher, launchers, runRanks } from '#tests/world/mpirun.js';
import { percentiles, type Timing } from './measure.js';
import { SHAPES } from './shapes.js';

/**
 * Steps of real runs on several ranks of this host, one thread a rank: what the model of a step's time
 * (src/training/stepTime.ts) is held to.
 */

const PROGRAM = fileURLToPath(new URL('../../dist/train.js', import.meta.url));
const LIMIT_MS = 120_000;
const RANKS = [1, 2, 4];
/** In micro-batches of one row: a part of the tree for each rank. */
const BATCHES = [8, 16, 32];
const ADAPTER_RANKS = [8, 128];
const SEQUENCE = 32;
const DOCUMENTS = 400;
/** Steps in which engines compile, and those that are timed. */
const [WARM_UP, TIMED] = [3, 11];

/** Two of the blocks of SmolLM2-135M. */
const { hidden, intermediate, heads, keyValueHeads } = SHAPES.smollm2.student;
const BLOCKS = {
  ...STUDENT,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_attention_heads: heads,
  num_key_value_heads: keyValueHeads,
  head_dim: hidden / heads,
};

/** Seconds of a step. */
export interface RanksResult extends Timing {
  readonly ranks: number;
  readonly microBatches: number;
  readonly adapter_rank: number;
  /** Of the adapter. */
  readonly elements: number;
  /** Of a step, median: in meetings with other ranks, after the last micro-batch; absent of one rank. */
  readonly met_seconds?: number;
}

interface Case {
  readonly ranks: number;
  readonly batch: number;
  readonly rank: number;
}

/** @param onResult hears of each case; @param onSkip of what can't be measured here */
export async function measureRanks(
  onResult: (result: RanksResult) => void,
  onSkip: (reason: string) => void,
): Promise<void> {
  const [launcher] = launchers;
  if (!launcher) return onSkip('ranks: skipped, it needs mpirun of Open MPI or MPICH');
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-ranks-'));
  try {
    const student = writeModel(join(folder, 'student'), BLOCKS, 1);
    const data = join(folder, 'documents.jsonl');
    writeFileSync(data, makeJsonl(1, DOCUMENTS));
    for (const rank of ADAPTER_RANKS) {
      for (const batch of BATCHES) {
        for (const ranks of RANKS) {
          const cwd = mkdtempSync(join(folder, 'run-'));
          onResult(await stepsOf(launcher, { ranks, batch, rank }, { student, data: [data], cwd }));
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function stepsOf(
  launcher: Launcher,
  { ranks, batch, rank }: Case,
  { student, data, cwd }: { readonly student: string; readonly data: string[]; readonly cwd: string },
): Promise<RanksResult> {
  const options = {
    ...{ student, data, batch, rank, teacher: 'none', sequence: SEQUENCE, microBatch: 1, threads: 1 },
    ...{ steps: WARM_UP + TIMED, evalFraction: 0, device: 'wasm', out: 'run' },
  };
  const { code, stderr } = await runRanks(launcher, ranks, [PROGRAM, ...flags(options)], {
    cwd,
    limitMs: LIMIT_MS,
  });
  if (code !== 0) throw new Error(`Expected ${ranks} ranks to end with code 0, found ${code}: ${stderr}`);
  const steps = readFileSync(join(cwd, 'run', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StepRecord)
    .filter(({ type, step }) => type === 'step' && step > WARM_UP);
  const tokens = batch * SEQUENCE;
  const seconds = steps.map(({ tokens_per_s, padding }) => (tokens * (1 - padding)) / tokens_per_s);
  const met = steps.map(({ wait }, i) => (wait.ranks ?? 0) * seconds[i]!);
  const lora = { rank, alpha: rank, rsLora: false, dropout: 0, targetModules: targetModules(['all-linear']) };
  return {
    ...{ ranks, microBatches: batch, adapter_rank: rank },
    elements: parameterCount(loraShapes(readModelConfig(student), lora)),
    ...percentiles(seconds),
    ...(ranks > 1 && { met_seconds: percentiles(met).seconds_p50 }),
  };
}

export function ranksLine({ ranks, microBatches, adapter_rank, ...result }: RanksResult): string {
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`;
  const met = result.met_seconds === undefined ? '' : `, of that ${ms(result.met_seconds)} with others`;
  const times = `${ms(result.seconds_p50)} a step (${ms(result.seconds_p20)} to ${ms(result.seconds_p80)})`;
  return `ranks ${ranks}, batch ${microBatches}, adapter of rank ${adapter_rank}: ${times}${met}`;
}
