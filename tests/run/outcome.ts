import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type MetricsRecord, type TrainInput, train } from 'rivulet';
import { openSafetensors } from '#src/formats/safetensors.js';
import { temporaryFolder } from '../support.js';
import { adapterBytes } from './process.js';

export interface Outcome {
  readonly out: string;
  readonly adapter: Buffer;
  readonly records: readonly MetricsRecord[];
}

/** Runs through the library, in a folder of its own where none is given. */
export async function outcomeOf(options: TrainInput): Promise<Outcome> {
  const out = options.out ?? join(temporaryFolder('outcome'), 'run');
  const records: MetricsRecord[] = [];
  const run = train({ ...options, out });
  run.metrics$.subscribe({ next: (record) => records.push(record), error: () => {} });
  await run.finished;
  const adapter = existsSync(join(out, 'adapter')) ? adapterBytes(out) : Buffer.alloc(0);
  return { out, adapter, records };
}

/** The tensors of the model that a run made. */
export const modelOf = ({ out }: Outcome) => openSafetensors(join(out, 'model', 'model.safetensors')).tensors;

export const recordsOf = <T extends MetricsRecord['type']>({ records }: Outcome, type: T) =>
  records.filter((record) => record.type === type) as Extract<MetricsRecord, { type: T }>[];
