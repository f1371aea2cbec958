import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { InputError } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { version } from '../base/version.js';
import type { Row } from '../data/packing.js';
import type { Device } from '../devices/device.js';
import { openDevice } from '../devices/openDevice.js';
import { publishFile } from '../formats/checkpointFiles.js';
import { hashFile } from '../formats/hashes.js';
import { readJsonFile } from '../formats/json.js';
import { startingAdapter } from '../prepare/locateModels.js';
import type { Preparation } from '../prepare/prepare.js';
import { type Beginning, fillFrozen, fillStart } from '../training/begin.js';
import { hashOfRows } from './heldOutText.js';
import type { Identities } from './identity.js';
import { startSharpness } from './measures/sharpness.js';

type Identify = Identities['ofModel'];

/** Form of what is kept: that of another one is found again. */
const FORM = 1;
/** Of the rows that it is found on, about. */
const TOKENS = 2048;

const keptSchema = z.strictObject({ value: z.number(), residual: z.number(), iterations: z.int() });

export interface SharpnessSetting {
  /** Where values are kept for all cells of a start, and for later studies. */
  readonly folder: string;
  readonly identify: Identify;
  /** Kind of the device's kernels. */
  readonly kernels: string;
  /** Told in a line what went wrong with what is kept. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * The sharpness of the start of a run (docs/measures.md), on the first rows of its held-out text: found once for a model,
 * what is trained of it and how that begins, whatever the learning rate, the batch and the teacher are.
 * @throws InputError for a device that halves gradients, RunError when the signal says stop
 */
export async function sharpnessOfStart(
  prepared: Preparation,
  heldOut: readonly Row[],
  { folder, identify, kernels, note, signal }: SharpnessSetting,
): Promise<number> {
  const { device, sequence } = prepared.options;
  const rows = heldOut.slice(0, Math.max(1, Math.round(TOKENS / sequence)));
  const beginning = await beginningOf(prepared);
  const facts = { FORM, version, kernels, rows: hashOfRows(rows), ...(await factsOf(beginning, identify)) };
  const name = createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
  const path = join(folder, `sharpness-${name}.json`);
  const kept = readKept(path, note);
  if (kept !== undefined) return kept;
  const { threads, tune } = prepared.options;
  const opened = await openDevice(device, { threads, kernels: prepared.options.kernels, tune });
  try {
    const find = () => findSharpness(opened, beginning, rows, note);
    const found = await untilStopped(find, signal, 'measure the sharpness of a start');
    publishFile(path, [new TextEncoder().encode(`${JSON.stringify(found)}\n`)]);
    return found.value;
  } finally {
    await opened.close();
  }
}

/** A file that is not as it was written costs time, nothing else. */
function readKept(path: string, note: (text: string) => void): number | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return readJsonFile(path, keptSchema, 'it is found again').value;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    note(error.message);
    return undefined;
  }
}

async function beginningOf({ options, models, student: { student, lora } }: Preparation): Promise<Beginning> {
  const init = await startingAdapter(options, models.commits);
  return {
    ...{ files: student, lora: lora && { ...lora, dropout: 0 }, init, seed: options.seed },
    threads: options.threads ?? availableParallelism(),
  };
}

/** What tells a start from others. */
async function factsOf(
  { files, lora, init, seed }: Beginning,
  identify: Identify,
): Promise<Record<string, unknown>> {
  const isBlank = files.tensors.size === 0;
  const isRandom = lora ? !lora.start && init === undefined : isBlank;
  return {
    model: isBlank ? await hashFile(files.configFile) : await identify(files.folder, 'model'),
    ...(init === undefined ? {} : { init: await identify(init, 'adapter') }),
    ...(isRandom && { seed }),
    ...(lora && { lora }),
  };
}

function findSharpness(
  device: Device,
  beginning: Beginning,
  rows: readonly Row[],
  problem: (text: string) => void,
) {
  const { files, lora } = beginning;
  return startSharpness(device, { student: files, lora }, rows, async (session, { trained }) => {
    await fillFrozen(session, trained, beginning);
    await fillStart(session, trained, beginning, { loaded() {}, progress() {}, problem });
  });
}
