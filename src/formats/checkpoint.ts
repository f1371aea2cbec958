import { cpSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { InputError, RunError } from '../base/errors.js';
import type { RunState } from '../messages.js';
import { BEST_FOLDER, keepBest } from './best.js';
import { checkpointPath, publishFile, publishFolder } from './checkpointFiles.js';
import { checkHashes, HASHES_FILE, hashFolder } from './hashes.js';
import { readJsonFile, systemCode } from './json.js';
import { type Artifact, readParameters, writeParameters } from './parameters.js';
import { type RunFile, runSchema } from './runFile.js';
import { openSafetensors, readFloat32, streamSafetensors } from './safetensors.js';
import { splitStart } from './startFactors.js';
import { fileSource } from './tensors/file.js';
import type { TensorSource } from './tensors/source.js';

/*
 * A checkpoint is a folder: `adapter/` in PEFT's format or `model/` in Hugging Face's, `optimizer.safetensors` with the
 * moments of every tensor that is trained, `state.json` with everything else, and `XXH64SUMS` with the hash of each of these files.
 * That of a stop which did not wait for an evaluation has `snapshot.safetensors` beside them, that of a run that keeps the
 * best of its evaluations a copy of it, `best/`.
 */

const OPTIMIZER_FILE = 'optimizer.safetensors';
/** What an evaluation that a stop did not wait for was to read. */
const SNAPSHOT_FILE = 'snapshot.safetensors';
export const STATE_FILE = 'state.json';

export interface CheckpointContents {
  /** What is trained, F32. */
  readonly parameters: readonly TensorSource[];
  /** Of an adapter that began with singular vectors: A0 and B0 by the names of A and B (startFactors.ts). */
  readonly start?: readonly TensorSource[] | undefined;
  /** AdamW's moments, with the names and shapes of the parameters. */
  readonly first: readonly TensorSource[];
  readonly second: readonly TensorSource[];
  /** Parameters as an evaluation that is still to be made reads them. */
  readonly snapshot?: readonly TensorSource[] | undefined;
  /** Folder of what the best evaluation so far was of. */
  readonly best?: string | undefined;
  readonly state: RunState;
}

/** Publishes `checkpoints/step-NNNNNNNN`. A kill at any instant leaves no folder or the whole one. */
export async function writeCheckpoint(
  folder: string,
  artifact: Artifact,
  { parameters, start = [], first, second, snapshot, best, state }: CheckpointContents,
): Promise<string> {
  const path = checkpointPath(folder, state.step);
  await publishFolder(path, async (unfinished) => {
    await writeParameters(unfinished, exact(artifact), parameters, start);
    const moments = [...prefixed(FIRST, first), ...prefixed(SECOND, second)];
    await streamSafetensors(join(unfinished, OPTIMIZER_FILE), moments);
    if (snapshot) await streamSafetensors(join(unfinished, SNAPSHOT_FILE), snapshot);
    if (best !== undefined) keepBest(best, unfinished);
    writeState(unfinished, state);
    await writeHashes(unfinished);
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

const writeText = (path: string, text: string): void => publishFile(path, [new TextEncoder().encode(text)]);

const writeState = (folder: string, state: RunState): void =>
  writeText(join(folder, STATE_FILE), `${JSON.stringify({ ...state, format: 2 })}\n`);

const writeHashes = async (folder: string): Promise<void> =>
  writeText(join(folder, HASHES_FILE), await hashFolder(folder));

/** Another run evaluates anew. */
const OF_EVALUATIONS = [SNAPSHOT_FILE, BEST_FOLDER];

/** Publishes a copy of the checkpoint at `path` among those of another run, with a state of its own. */
export async function copyCheckpoint(path: string, folder: string, state: RunState): Promise<string> {
  const copy = checkpointPath(folder, state.step);
  await publishFolder(copy, async (unfinished) => {
    try {
      cpSync(path, unfinished, {
        recursive: true,
        filter: (file) => !OF_EVALUATIONS.includes(basename(file)),
      });
    } catch (error) {
      throw systemCode(error) === 'ENOENT' ? isDeleted(path) : error;
    }
    writeState(unfinished, state);
    await writeHashes(unfinished);
  });
  return copy;
}

/** A run that is still going deletes old ones (`--keep`). */
const isDeleted = (path: string): InputError =>
  new InputError(
    `${path}: expected the checkpoint to fork, found that its run has deleted it meanwhile; fork a newer one`,
  );

/** A run's state as a checkpoint holds it, with what run.json said then. */
export type CheckpointState<C> = Omit<RunState, 'run'> & {
  readonly cursor: C;
  readonly run?: RunFile | undefined;
};

const heldSchema = z.union([
  z.strictObject({ evaluation: z.int().min(0) }),
  z.looseObject({ type: z.string() }),
]);

const measuredSchema = z.strictObject({ metric: z.string(), step: z.int().min(0), value: z.number() });
const watchedSchema = z.strictObject({ best: measuredSchema.optional(), since: z.int().min(0) });
const evaluationsSchema = z.strictObject({
  keepBest: watchedSchema.optional(),
  earlyStop: watchedSchema.optional(),
  ended: z.strictObject({ patience: z.int().min(1), best: measuredSchema.optional() }).optional(),
});

/**
 * The state of a run as a checkpoint holds it.
 * @param cursor the form of its cursor, which whoever packs the rows knows
 * @throws InputError naming the file and the fields that are wrong
 */
export function readCheckpointState<C>(path: string, cursor: z.ZodType<C>): CheckpointState<C> {
  const schema = z.strictObject({
    format: z.literal(2, 'expected 2, the form that this version writes').optional(),
    step: z.int().min(0),
    tokens: z.int().min(0),
    elapsedSeconds: z.number().min(0),
    cursor,
    metricsBytes: z.int().min(0),
    metricsHash: z.string().optional(),
    run: runSchema.optional(),
    steps: z.int().min(1).optional(),
    texts: z.record(z.string(), z.string()).optional(),
    recorded: z.boolean().optional(),
    held: z.array(heldSchema).optional(),
    evaluations: evaluationsSchema.optional(),
    lossScale: z
      .strictObject({ scale: z.number().positive(), steady: z.int().min(0), skipped: z.int().min(0) })
      .optional(),
  });
  return readJsonFile(join(path, STATE_FILE), schema, `delete ${path}`);
}

/**
 * The state in a checkpoint, once every file in it has been found to be as it was written. Checkpoints of version 0.1.0
 * have no hashes: theirs are taken as they are.
 * @throws InputError naming the file that is another one
 */
export async function readWholeCheckpoint<C>(
  path: string,
  cursor: z.ZodType<C>,
): Promise<CheckpointState<C>> {
  const hasHashes = existsSync(join(path, HASHES_FILE));
  if (hasHashes) await checkHashes(path, `delete ${path}`);
  const state = readCheckpointState(path, cursor);
  const step = CHECKPOINT_STEP.exec(path)?.[1];
  if (Number(step) !== state.step) {
    throw new InputError(`${path}: expected the state of step ${step}, found step ${state.step}; delete it`);
  }
  // A new one without hashes lost them: this names the file.
  if (state.format !== undefined && !hasHashes) await checkHashes(path, `delete ${path}`);
  return state;
}

const CHECKPOINT_STEP = /step-(\d+)$/;

/** The parameters that an evaluation is still to be made of. */
export const readSnapshot = (path: string): Map<string, Float32Array> =>
  new Map(
    [...openSafetensors(join(path, SNAPSHOT_FILE)).tensors].map(([name, info]) => [name, readFloat32(info)]),
  );

/**
 * What a run goes on with from a checkpoint, as `readWholeCheckpoint` may have checked it before.
 * @param hasStart whether its adapter began with singular vectors
 */
export function readCheckpoint(
  path: string,
  kind: Artifact['kind'] = 'adapter',
  hasStart = false,
): Omit<CheckpointContents, 'snapshot' | 'best'> {
  const whole = readParameters(path, kind);
  const { trained: parameters, start } = hasStart ? splitStart(whole) : { trained: whole, start: [] };
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
    start,
    first: moments(FIRST),
    second: moments(SECOND),
    state: readCheckpointState(path, z.unknown()),
  };
}
