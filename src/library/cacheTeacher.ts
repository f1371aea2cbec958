import { InputError } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { type DeviceHost, hostDevices } from '../devices/host.js';
import { recordCoverage } from '../formats/teacherCache/coverage.js';
import { storedSegments } from '../formats/teacherCache.js';
import { resolveModel } from '../hub/resolveModel.js';
import { CACHE_OPTIONS, type CacheInput } from '../options/cache.js';
import { checkedOptions } from '../options/table.js';
import { type CachePreparation, prepareCache } from '../prepare/prepareCache.js';
import type { DownloadRecord } from '../records.js';
import { FILLING, type FilledTokens, fillCache } from '../run/fillCache.js';
import { localShare } from '../world/localShare.js';
import { agreeOn, firstOfMachine, together } from '../world/together.js';
import { ALONE, type World } from '../world/world.js';

/** A cache that has all of a text. */
export interface FilledCache {
  readonly folder: string;
  readonly dtype: 'f32' | 'bf16';
  /** Of the text; 0 where all was known to be there, and nothing was read. */
  readonly tokens: number;
  /** Those of them that the teacher read; the others were there. */
  readonly teacherTokens: number;
  /** All that the cache takes, that of other texts too. */
  readonly bytes: number;
  readonly seconds: number;
}

/** How far filling is. */
export interface CacheProgress {
  readonly tokens: number;
  readonly teacherTokens: number;
  readonly seconds: number;
}

export interface CacheHooks {
  readonly onDownload?: ((record: DownloadRecord) => void) | undefined;
  readonly onProgress?: ((progress: CacheProgress) => void) | undefined;
  /** Ends the work with a RunError; what was stored is there the next time. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keeps a teacher's hidden states of a text, so that `train` with `teacherCache` asks it for nothing: the library form of
 * `node dist/cache.js`. What is there already is not computed again.
 * @param world the ranks that fill the cache together, each its share of the micro-batches; all are given the same result
 * @throws InputError for wrong options, models, texts or caches; RunError when it is stopped or can't write
 */
export async function cacheTeacher(
  input: CacheInput,
  hooks: CacheHooks = {},
  world: World = ALONE,
): Promise<FilledCache> {
  const { onDownload, onProgress, signal } = hooks;
  const options = await together(world, 'cache: its options', () => checkedOptions(CACHE_OPTIONS, input));
  const model = await firstOfMachine(
    world,
    'cache: the teacher',
    (stop) => {
      const find = () => resolveModel(options.model, { onProgress: onDownload, signal: stop });
      return untilStopped(find, stop, FILLING);
    },
    signal,
  );
  const { device, kernels, tune } = options;
  const share = localShare(world, options.threads);
  const devices = await together(world, 'cache: starting the device', () =>
    hostDevices({ device }, { ...share, kernels, tune }),
  );
  try {
    const found = await together(
      world,
      'cache: the teacher and the text',
      (stop) => untilStopped(() => prepareCache(options, model.folder, devices.teacher, stop), stop, FILLING),
      { signal },
    );
    const prepared = await agreed(found, world);
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    const counts = prepared.cache.isCovered
      ? NONE
      : await fill(prepared, devices.teacher, { onProgress, signal }, elapsed, world);
    const { out: folder } = options;
    await together(world, 'cache: its end', () => world.rank === 0 && finish(prepared, folder, counts));
    const { bytes } = storedSegments(folder);
    return { folder, dtype: prepared.cache.identity.dtype, ...counts, bytes, seconds: elapsed() };
  } finally {
    await devices.close();
  }
}

const NONE: FilledTokens = { tokens: 0, teacherTokens: 0 };

/** The same on all ranks: micro-batches that fit the smallest of them, and whether there is nothing to do. */
async function agreed(prepared: CachePreparation, world: World): Promise<CachePreparation> {
  const { cache, text, shape } = prepared;
  const { teacher, tokenizer, kernels, dtype } = cache.identity;
  const facts = { teacher, tokenizer, kernels, text, '--teacher-cache-dtype': dtype };
  await agreeOn(world, 'cache: agreement', facts);
  const all = await world.channel.gather(
    { rows: shape.rows, isCovered: cache.isCovered },
    'cache: micro-batches',
  );
  const rows = Math.min(...all.map((one) => one.rows));
  const isCovered = all.every((one) => one.isCovered);
  return { ...prepared, shape: { ...shape, rows }, cache: { ...cache, isCovered } };
}

/** Fills the cache with all ranks. @returns the tokens of all */
async function fill(
  prepared: CachePreparation,
  host: DeviceHost,
  { onProgress, signal }: CacheHooks,
  elapsed: () => number,
  world: World,
): Promise<FilledTokens> {
  let own = NONE;
  let all: readonly FilledTokens[] = Array.from({ length: world.size }, () => NONE);
  const tell = () => onProgress?.({ ...sumOf(all.with(world.rank, own)), seconds: elapsed() });
  const onOwn = (counts: FilledTokens) => {
    own = counts;
    tell();
  };
  const onRound = (counts: readonly FilledTokens[]) => {
    all = counts;
    if (world.size > 1) tell();
  };
  const filled = await together(
    world,
    'cache: filling',
    (stop) => fillCache(prepared, host, world, { onProgress: onOwn, signal: stop }),
    { signal, status: () => own, onRound },
  );
  return sumOf(await world.channel.gather(filled, 'cache: tokens'));
}

const sumOf = (counts: readonly FilledTokens[]): FilledTokens => ({
  tokens: counts.reduce((sum, { tokens }) => sum + tokens, 0),
  teacherTokens: counts.reduce((sum, { teacherTokens }) => sum + teacherTokens, 0),
});

/** Once the states of all ranks are on the disk. */
function finish({ cache, text }: CachePreparation, folder: string, { tokens }: FilledTokens): void {
  if (cache.isCovered) return;
  if (tokens === 0) {
    throw new InputError('expected a document of two tokens or more, found none; give longer text');
  }
  recordCoverage(folder, text, storedSegments(folder).names);
}
