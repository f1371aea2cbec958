import type { Session } from '../devices/device.js';
import { checkAdapter, readAdapter } from '../formats/adapter.js';
import { type LoraOptions, loraShapes } from '../model/lora.js';
import type { Trained } from '../model/trained.js';
import { loadRopeTable, loadWeights, type ModelFiles, sourcesOf, weightShapes } from '../model/weights.js';
import type { Value } from '../program/types.js';
import { randomLora, randomWeights } from './initialise.js';
import { type StartHooks, singularStart } from './starts.js';

/** What a run begins with. */
export interface Beginning {
  readonly files: ModelFiles;
  /** Absent: all weights are trained. */
  readonly lora?: LoraOptions | undefined;
  /** Folder of the adapter to start from. */
  readonly init?: string | undefined;
  /** Of fresh tensors. */
  readonly seed: number;
  /** That look for singular vectors. */
  readonly threads: number;
}

export interface BeginningHooks extends StartHooks {
  /** Bytes of the model's files that are loaded. */
  loaded(bytes: number, total: number): void;
}

/** Writes what is not trained into a session. @throws InputError as `loadWeights` does */
export async function fillFrozen(
  session: Session,
  { training: { weights } }: Trained,
  { files, lora }: Pick<Beginning, 'files' | 'lora'>,
  loaded?: BeginningHooks['loaded'],
): Promise<void> {
  if (lora) await loadWeights(session, sourcesOf(files), weights, loaded);
  else await loadRopeTable(session, weights);
}

/**
 * Writes what is trained into a session, as it is before the first step.
 * @throws InputError where files can't be read or an adapter is not of this model, and as `singularStart` does
 */
export async function fillStart(
  session: Session,
  trained: Trained,
  { files, lora, init, seed, threads }: Beginning,
  hooks: BeginningHooks,
): Promise<void> {
  const { values, start, training } = trained;
  const { config, tensors } = files;
  if (!lora) {
    if (tensors.size > 0) await loadWeights(session, sourcesOf(files), training.weights, hooks.loaded);
    else await write(session, values, randomWeights(weightShapes(config), seed));
    return;
  }
  const shapes = loraShapes(config, lora);
  if (lora.start) {
    const factors = await singularStart(files, lora, threads, hooks);
    await write(session, values, factors);
    await write(session, start, factors);
    return;
  }
  if (init === undefined) {
    await write(session, values, randomLora(shapes, seed));
    return;
  }
  const adapter = readAdapter(init);
  checkAdapter(adapter, shapes);
  await write(session, values, adapter.tensors);
}

async function write(
  session: Session,
  values: ReadonlyMap<string, Value>,
  tensors: ReadonlyMap<string, { readonly data: Float32Array }>,
): Promise<void> {
  for (const [name, value] of values) await session.write(value, tensors.get(name)!.data);
}
