import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckpointRecord } from '#src/records.js';

const NEW_FIELDS = ['format', 'metricsHash', 'run', 'steps', 'texts', 'recorded'];

/** Makes a checkpoint of a run as version 0.1.0 left it: without hashes and facts, after its record in metrics.jsonl. */
export function asOfVersion01(run: string, checkpoint: string): void {
  rmSync(join(checkpoint, 'XXH64SUMS'));
  const file = join(checkpoint, 'state.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const metrics = readFileSync(join(run, 'metrics.jsonl'));
  if (state.recorded) {
    const from = state.metricsBytes as number;
    const line = metrics.subarray(from, metrics.indexOf('\n', from) + 1);
    if ((JSON.parse(line.toString()) as CheckpointRecord).type !== 'checkpoint') throw new Error('no record');
    state.metricsBytes = from + line.length;
  }
  for (const name of NEW_FIELDS) delete state[name];
  writeFileSync(file, JSON.stringify(state));
}
