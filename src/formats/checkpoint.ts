import { join } from 'node:path';
import { z } from 'zod';
import { RunError } from '../base/errors.js';
import type { RunState } from '../messages.js';
import { checkpointPath, publishFile, publishFolder } from './checkpointFiles.js';
import { readJsonFile } from './json.js';
import { type Artifact, readParameters, writeParameters } from './parameters.js';
import { openSafetensors, streamSafetensors } from './safetensors.js';
import { fileSource } from './tensors/file.js';
import type { TensorSource } from './tensors/source.js';

/*
 * A checkpoint is a folder: `adapter/` in PEFT's format or `model/` in Hugging Face's, `optimizer.safetensors` with the
 * moments of every tensor in it, and `state.json` with everything else.
 */

const OPTIMIZER_FILE = 'optimizer.safetensors';
const STATE_FILE = 'state.json';

export interface CheckpointContents {
  /** What is trained, F32. */
  readonly parameters: readonly TensorSource[];
  /** AdamW's moments, with the names and shapes of the parameters. */
  readonly first: readonly TensorSource[];
  readonly second: readonly TensorSource[];
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
    await writeParameters(unfinished, exact(artifact), parameters);
    const moments = [...prefixed(FIRST, first), ...prefixed(SECOND, second)];
    await streamSafetensors(join(unfinished, OPTIMIZER_FILE), moments);
    publishFile(join(unfinished, STATE_FILE), [new TextEncoder().encode(`${JSON.stringify(state)}\n`)]);
  });
  return path;
}

/** In the form in which it is trained, so that a resumed run goes on with the same bits. */
const exact = (artifact: Artifact): Artifact =>
  artifact.kind === 'model' ? { ...artifact, form: { ...artifact.form, dtype: 'F32' } } : artifact;

const FIRST = 'first_moment.';
const SECOND = 'second_moment.';

const prefixed = (prefix: string, sources: readonly TensorSource[]): TensorSource[] =>
  sources.map((source) => ({ ...source, name: prefix + source.name }));

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

/** @throws InputError or RunError when a file is damaged, or the moments are not those of the parameters */
export function readCheckpoint(path: string, kind: Artifact['kind'] = 'adapter'): CheckpointContents {
  const parameters = readParameters(path, kind);
  const { tensors } = openSafetensors(join(path, OPTIMIZER_FILE));
  const moments = (prefix: string): TensorSource[] =>
    parameters.map(({ name, shape }) => {
      const info = tensors.get(prefix + name);
      if (!info || String(info.shape) !== String(shape)) {
        const found = info ? `[${info.shape}]` : 'none';
        throw new RunError(
          `${path}: expected ${prefix}${name} [${shape}], found ${found}; delete this checkpoint`,
        );
      }
      return { ...fileSource(info), name };
    });
  return {
    parameters,
    first: moments(FIRST),
    second: moments(SECOND),
    state: readCheckpointState(path, z.unknown()),
  };
}
