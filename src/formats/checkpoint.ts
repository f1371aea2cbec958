import { join } from 'node:path';
import { z } from 'zod';
import { RunError } from '../base/errors.js';
import type { RunState, Tensors } from '../messages.js';
import type { AdapterTensor } from './adapter.js';
import { checkpointPath, publishFile, publishFolder } from './checkpointFiles.js';
import { readJsonFile } from './json.js';
import { type Artifact, readParameters, writeParameters } from './parameters.js';
import { openSafetensors, readFloat32, writeSafetensors } from './safetensors.js';

/*
 * A checkpoint is a folder: `adapter/` in PEFT's format or `model/` in Hugging Face's, `optimizer.safetensors` with the
 * moments of every tensor in it, and `state.json` with everything else.
 */

const OPTIMIZER_FILE = 'optimizer.safetensors';
const STATE_FILE = 'state.json';

export interface CheckpointContents {
  readonly parameters: ReadonlyMap<string, AdapterTensor>;
  /** AdamW's moments, with the shapes of the parameters of the same name. */
  readonly first: Tensors;
  readonly second: Tensors;
  readonly state: RunState;
}

/** Publishes `checkpoints/step-NNNNNNNN`. A kill at any instant leaves no folder or the whole one. */
export async function writeCheckpoint(
  folder: string,
  artifact: Artifact,
  { parameters, first, second, state }: CheckpointContents,
): Promise<string> {
  const path = checkpointPath(folder, state.step);
  await publishFolder(path, async (unfinished) => {
    await writeParameters(unfinished, artifact, parameters);
    const moments = [...parameters].flatMap(([name, { shape }]) => [
      [`first_moment.${name}`, { dtype: 'F32', shape, data: first.get(name)! }] as const,
      [`second_moment.${name}`, { dtype: 'F32', shape, data: second.get(name)! }] as const,
    ]);
    writeSafetensors(join(unfinished, OPTIMIZER_FILE), new Map(moments));
    publishFile(join(unfinished, STATE_FILE), [new TextEncoder().encode(`${JSON.stringify(state)}\n`)]);
  });
  return path;
}

/**
 * The state of a run as a checkpoint holds it.
 * @param cursor the form of its cursor, which whoever packs the rows knows
 * @throws InputError naming the file and the fields that are wrong
 */
export function readCheckpointState<C>(
  path: string,
  cursor: z.ZodType<C>,
): RunState & { readonly cursor: C } {
  const schema = z.strictObject({
    step: z.int().min(0),
    tokens: z.int().min(0),
    elapsedSeconds: z.number().min(0),
    cursor,
    metricsBytes: z.int().min(0),
    lossScale: z
      .strictObject({ scale: z.number().positive(), steady: z.int().min(0), skipped: z.int().min(0) })
      .optional(),
  });
  return readJsonFile(join(path, STATE_FILE), schema, `delete ${path}`);
}

export function readCheckpoint(path: string, kind: Artifact['kind'] = 'adapter'): CheckpointContents {
  const parameters = readParameters(path, kind);
  const { tensors } = openSafetensors(join(path, OPTIMIZER_FILE));
  const moments = (prefix: string): Tensors =>
    new Map(
      [...parameters].map(([name, { shape }]) => {
        const info = tensors.get(`${prefix}.${name}`);
        if (String(info?.shape) !== String(shape)) {
          const found = info ? `[${info.shape}]` : 'none';
          throw new RunError(
            `${path}: expected ${prefix}.${name} [${shape}], found ${found}; delete this checkpoint`,
          );
        }
        return [name, readFloat32(info!)];
      }),
    );
  return {
    parameters,
    first: moments('first_moment'),
    second: moments('second_moment'),
    state: readCheckpointState(path, z.unknown()),
  };
}
