import { InputError } from '../base/errors.js';
import { parseData } from '../data/documents/sources.js';
import { openDocuments } from '../data/documents.js';
import { createEncode, type EncodingOptions } from '../data/encoding.js';
import { loadTokenizer } from '../data/tokenizer.js';
import type { DeviceHost } from '../devices/host.js';
import { checkSequence, checkTokenizer, openModelFiles } from '../model/modelFiles.js';
import { type BatchShape, teacherModule } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import type { CacheOptions } from '../options/cache.js';
import { locateText, textOptions } from './locateText.js';
import { totalBytes } from './memory.js';
import { encoderOf, prepareText } from './prepareText.js';
import { type FoundCache, findCache, textKey } from './teacherCache.js';

/** All that filling a cache needs to know before anything is written. */
export interface CachePreparation {
  readonly options: CacheOptions;
  readonly teacher: ModelFiles;
  readonly encoding: EncodingOptions;
  readonly paths: readonly string[];
  /** Folder of the model whose token ids the text is given as. */
  readonly idsTokenizer: string | undefined;
  readonly shape: BatchShape;
  readonly cache: FoundCache;
  /** What tells this text from others in the cache. */
  readonly text: string;
}

/**
 * Checks model, text, cache and memory against each other and the device. Writes nothing.
 * @param folder of the model
 * @param signal ends downloads: the promise rejects
 */
export async function prepareCache(
  options: CacheOptions,
  folder: string,
  host: DeviceHost,
  signal?: AbortSignal,
): Promise<CachePreparation> {
  const { sequence, bos, out, model } = options;
  const teacher = openModelFiles(folder);
  const tokenizer = await loadTokenizer(folder);
  checkSequence(teacher, sequence);
  checkTokenizer(teacher, tokenizer);
  const data = options.data.map((text) => parseData(text).path);
  const located = await locateText({ ...options, data, evalData: undefined }, undefined, undefined, signal);
  const { data: paths, idsTokenizer } = located;
  const documents = await openDocuments({
    ...textOptions(options, paths, idsTokenizer),
    encoder: encoderOf(options, { tokenizer, folder, name: model }),
  });
  const { encoding } = await prepareText({ ...options, resume: false }, { folder, bos }, undefined, [
    { documents },
  ]);
  createEncode(tokenizer, encoding);
  const text = await textKey(paths, { ...options, idsTokenizer }, encoding);
  const { kernels } = host.info;
  const cache = await findCache(out, {
    ...{ teacher, tokenizer, sequence, kernels, text },
    dtype: options.teacherCacheDtype,
  });
  if (!cache.asks && !cache.isCovered) {
    throw new InputError(
      `${out}: expected states of ${kernels} kernels to add to, found those of ${cache.identity.kernels}; ` +
        'give --device and --kernels as the cache was filled with, or another --out',
    );
  }
  return {
    options,
    teacher,
    encoding,
    paths,
    idsTokenizer,
    shape: shapeFor(teacher, sequence, host),
    cache,
    text,
  };
}

/** As many rows as are fast and fit, a power of two. @throws InputError when one does not fit */
function shapeFor(teacher: ModelFiles, sequence: number, host: DeviceHost): BatchShape {
  const { info } = host;
  const most = Math.max(1, Math.floor(info.microBatchTokens / sequence));
  let bytes = 0;
  for (let rows = 2 ** Math.floor(Math.log2(most)); rows >= 1; rows /= 2) {
    bytes = totalBytes(host.plan(teacherModule(teacher, { rows, sequence }).module));
    if (bytes <= Math.min(info.maxSessionBytes, info.maxTotalBytes)) return { rows, sequence };
  }
  const gib = (size: number) => `${(size / 2 ** 30).toFixed(2)} GiB`;
  throw new InputError(
    `expected a teacher of at most ${gib(info.maxSessionBytes)} on this device, found ${gib(bytes)}; ` +
      'use a smaller one or a shorter --sequence',
  );
}
