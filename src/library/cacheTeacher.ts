import { InputError } from '../base/errors.js';
import { hostDevices } from '../devices/host.js';
import { recordCoverage } from '../formats/teacherCache/coverage.js';
import { storedSegments } from '../formats/teacherCache.js';
import { resolveModel } from '../hub/resolveModel.js';
import { CACHE_OPTIONS, type CacheInput } from '../options/cache.js';
import { checkedOptions } from '../options/table.js';
import { prepareCache } from '../prepare/prepareCache.js';
import type { DownloadRecord } from '../records.js';
import { fillCache } from '../run/fillCache.js';

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
 * @throws InputError for wrong options, models, texts or caches; RunError when it is stopped or can't write
 */
export async function cacheTeacher(input: CacheInput, hooks: CacheHooks = {}): Promise<FilledCache> {
  const options = checkedOptions(CACHE_OPTIONS, input);
  const { out: folder, device, kernels, tune, threads } = options;
  const { onDownload, onProgress, signal } = hooks;
  const model = await resolveModel(options.model, { onProgress: onDownload, signal });
  const devices = await hostDevices({ device }, { threads, kernels, tune });
  try {
    const prepared = await prepareCache(options, model.folder, devices.teacher);
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    const tell = (tokens: { tokens: number; teacherTokens: number }) =>
      onProgress?.({ ...tokens, seconds: elapsed() });
    const { cache, text } = prepared;
    const counts = cache.isCovered
      ? { tokens: 0, teacherTokens: 0 }
      : await fillCache(prepared, devices.teacher, tell, signal);
    if (counts.tokens === 0 && !cache.isCovered) {
      throw new InputError('expected a document of two tokens or more, found none; give longer text');
    }
    const { names, bytes } = storedSegments(folder);
    if (!cache.isCovered) recordCoverage(folder, text, names);
    return { folder, dtype: cache.identity.dtype, ...counts, bytes, seconds: elapsed() };
  } finally {
    await devices.close();
  }
}
