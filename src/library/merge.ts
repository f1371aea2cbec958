import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { InputError, isDiskFull, RunError } from '../base/errors.js';
import { throwIfStopped, untilStopped } from '../base/stopping.js';
import { type OpenAdapter, openAdapter } from '../formats/adapter.js';
import { tryToMove } from '../formats/checkpointFiles.js';
import { writeModelLike } from '../formats/modelFolder.js';
import { openModelWeights, splitAs } from '../formats/modelShards.js';
import { checkRunFolder, notWritable } from '../formats/runFolder.js';
import { bytesOf } from '../formats/safetensors.js';
import { fileSource } from '../formats/tensors/file.js';
import { finiteSource } from '../formats/tensors/finite.js';
import type { TensorSource } from '../formats/tensors/source.js';
import { resolveModel } from '../hub/resolveModel.js';
import { lowRankChanges, mergedSource, type WeightedAdapter } from '../model/merge.js';
import { openModelFiles } from '../model/modelFiles.js';
import { MERGE_OPTIONS, type MergeInput } from '../options/merge.js';
import { checkedOptions } from '../options/table.js';
import type { DownloadRecord } from '../records.js';

/** A model that was made of a model and its adapters. */
export interface Merged {
  readonly folder: string;
  /** Weights that adapters changed, and all tensors. */
  readonly merged: number;
  readonly tensors: number;
  /** Of all tensors. */
  readonly bytes: number;
  readonly seconds: number;
}

/** How far writing is. */
export interface MergeProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface MergeHooks {
  readonly onDownload?: ((record: DownloadRecord) => void) | undefined;
  readonly onProgress?: ((progress: MergeProgress) => void) | undefined;
  /** Ends the work with a RunError; nothing is written then. */
  readonly signal?: AbortSignal | undefined;
}

/** What a stopped merge was for. */
const MERGING = 'merge all weights';

/**
 * Makes one model of a model and LoRA adapters of it: the library form of `node dist/merge.js`. A weight W becomes
 * W + w1 s1 B1 A1 + w2 s2 B2 A2 + ..., all else of the folder stays as it is, types and shards too. The memory this takes is
 * that of a chunk of the model, and the factors of one weight.
 * @throws InputError for wrong options, models or adapters, and where there is something at `out`; RunError when it is
 * stopped. Nothing is written then
 */
export async function merge(input: MergeInput, given: MergeHooks = {}): Promise<Merged> {
  const start = performance.now();
  const hooks = { ...given };
  const options = checkedOptions(MERGE_OPTIONS, input);
  const { out } = options;
  const wanted = options.adapter.map(parseAdapter);
  await checkOut(out);
  const { folder, adapters } = await untilStopped(
    () => locate(options, wanted, hooks),
    hooks.signal,
    MERGING,
  );
  refuseInside(out, folder);
  const model = openModelFiles(folder);
  const changes = lowRankChanges(model, adapters);
  for (const { adapter } of adapters) await checkNumbers(adapter);
  const infos = openModelWeights(folder);
  const sources = [...infos.values()].map((info) => mergedSource(model, fileSource(info), changes));
  const totalBytes = [...infos.values()].reduce((sum, info) => sum + bytesOf(info), 0);
  checkReplaceable(out);
  const shards = splitAs(infos, watched(sources, totalBytes, hooks));
  await writeModelLike(out, folder, shards).catch((error) => {
    throw explained(error, out, totalBytes);
  });
  const seconds = (performance.now() - start) / 1000;
  return { folder: out, merged: changes.size, tensors: infos.size, bytes: totalBytes, seconds };
}

/** The model's folder, and adapters of which headers are read; fetched where they are given by Hub name. */
async function locate(
  { model }: { readonly model: string },
  wanted: readonly AdapterArgument[],
  { onDownload: onProgress, signal }: MergeHooks,
): Promise<{ readonly folder: string; readonly adapters: readonly WeightedAdapter[] }> {
  const { folder } = await resolveModel(model, { onProgress, signal });
  const adapters: WeightedAdapter[] = [];
  for (const { path, weight } of wanted) {
    const found = await resolveModel(path, { kind: 'adapter', onProgress, signal });
    adapters.push({ adapter: openAdapter(found.folder), weight });
  }
  return { folder, adapters };
}

/** What `ADAPTER` or `ADAPTER:WEIGHT` says. */
interface AdapterArgument {
  readonly path: string;
  readonly weight: number;
}

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** What is there by its whole name is meant as it is, and `C:\` is no weight. */
function parseAdapter(text: string): AdapterArgument {
  const [, path, digits] = /^(.*):([^:/\\]*)$/s.exec(text) ?? [];
  if (path === undefined || digits === undefined || existsSync(text)) return { path: text, weight: 1 };
  const weight = DECIMAL.test(digits) ? Number(digits) : Number.NaN;
  if (path !== '' && Number.isFinite(weight)) return { path, weight };
  const expected = path === '' ? 'an adapter before its weight' : 'a finite number as its weight';
  throw new InputError(
    `--adapter ${text}: expected ${expected}, found ${(path && digits) || 'nothing'}; mend it`,
  );
}

/** @throws InputError when something is at `out`. @throws RunError when it can't be written to */
async function checkOut(out: string): Promise<void> {
  await checkRunFolder(out);
  if (existsSync(out) && readdirSync(out).length > 0) {
    throw new InputError(`--out: expected a new folder or an empty one, found ${out}; choose another`);
  }
}

/** A model's folder is not written to, wherever links lead. */
function refuseInside(out: string, model: string): void {
  let found = resolve(out);
  while (!existsSync(found)) found = dirname(found);
  const path = relative(realpathSync(model), realpathSync(found));
  if (path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) return;
  throw new InputError(`--out: expected a folder outside of ${model}, found ${out}; choose another`);
}

/** The folder that is published takes the place of an empty one. @throws InputError where it could not */
function checkReplaceable(out: string): void {
  const status = lstatSync(out, { throwIfNoEntry: false });
  if (!status) return;
  if (status.isSymbolicLink()) throw notReplaceable(out, 'a link');
  try {
    tryToMove(out);
  } catch (error) {
    throw notReplaceable(out, (error as NodeJS.ErrnoException).code!);
  }
}

const notReplaceable = (out: string, why: string): InputError =>
  new InputError(`--out: expected a folder that can be replaced, found ${out} (${why}); choose one in it`);

function explained(error: NodeJS.ErrnoException, out: string, bytes: number): Error {
  if (error.syscall === 'mkdir' && !isDiskFull(error)) return notWritable(out, error);
  if (!isDiskFull(error)) return error;
  const reason = error.message.split(',')[0];
  return new RunError(
    `--out: expected room for the ${Math.ceil(bytes / 2 ** 20)} MiB of the merged model at ${out}, found none ` +
      `(${reason}); free some space or choose another folder`,
    { cause: error },
  );
}

/** Before anything is written. @throws InputError when a number of an adapter is none */
async function checkNumbers({ tensors }: OpenAdapter): Promise<void> {
  for (const source of tensors.values()) {
    for await (const _ of finiteSource(source).read());
  }
}

/** Sources whose reading is told of, and can be stopped. */
function watched(
  sources: readonly TensorSource[],
  totalBytes: number,
  { signal, onProgress }: MergeHooks,
): TensorSource[] {
  let bytes = 0;
  return sources.map((source) => ({
    ...source,
    async *read(from, to) {
      for await (const chunk of source.read(from, to)) {
        // Files are read and written without a pause, in which alone a signal arrives.
        await nextTurn();
        throwIfStopped(signal, MERGING);
        bytes += chunk.bytes.length;
        onProgress?.({ bytes, totalBytes });
        yield chunk;
      }
    },
  }));
}
