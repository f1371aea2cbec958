import { createHash } from 'node:crypto';
import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputError } from '../base/errors.js';
import { hashOfTemplate } from '../data/chat/source.js';
import { hashTexts } from '../data/documents/contentHash.js';
import { idsTokenizer } from '../data/documents/tokenIds.js';
import type { EncodingOptions } from '../data/encoding.js';
import { fingerprintOf } from '../data/shards/fingerprint.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { isCovered } from '../formats/teacherCache/coverage.js';
import {
  bytesPerToken,
  type CacheDtype,
  type CacheIdentity,
  storedSegments,
  TeacherCache,
} from '../formats/teacherCache.js';
import { isRemote } from '../hub/address.js';
import type { ModelFiles } from '../model/weights.js';
import type { TrainOptions } from '../options/train.js';
import { hashOfModel } from './modelHash.js';

/** A cache of a teacher's hidden states, as it is found. */
export interface FoundCache {
  readonly folder: string;
  readonly identity: CacheIdentity;
  /** Whether the teacher may be asked for what is missing: not where other kernels filled the cache. */
  readonly asks: boolean;
  /** Whether all of the text is known to be there, so that no teacher is needed. */
  readonly isCovered: boolean;
  readonly bytesPerToken: number;
  readonly storedBytes: number;
  /** On the disk. */
  readonly freeBytes: number;
}

/** What decides which hidden states are wanted. */
export interface CacheWish {
  readonly teacher: ModelFiles;
  readonly tokenizer: Tokenizer;
  readonly sequence: number;
  /** Default: as what is there, f32 where there is nothing. */
  readonly dtype: CacheDtype | undefined;
  /** Of the device that the teacher would run on. */
  readonly kernels: string;
  /** See `textKey`. */
  readonly text: string;
}

/**
 * Looks at a cache, which need not exist. Writes nothing.
 * @throws InputError when it holds something else, or is damaged
 */
export async function findCache(folder: string, wish: CacheWish): Promise<FoundCache> {
  const freeBytes = freeBytesAt(folder);
  const there = await TeacherCache.peek(folder);
  const { teacher, tokenizer, sequence } = wish;
  const identity: CacheIdentity = {
    format: 1,
    teacher: await hashOfModel(teacher),
    tokenizer: fingerprintOf(tokenizer),
    sequence,
    width: teacher.config.hiddenSize,
    dtype: wish.dtype ?? there?.dtype ?? 'f32',
    kernels: there?.kernels ?? wish.kernels,
  };
  const cache = await TeacherCache.open(folder, identity);
  return {
    folder,
    identity,
    asks: identity.kernels === wish.kernels,
    isCovered: isCovered(folder, wish.text, cache.segments),
    bytesPerToken: bytesPerToken(identity),
    storedBytes: storedSegments(folder).bytes,
    freeBytes,
  };
}

/** What decides which pieces a text has, apart from the tokenizer and N. */
export type TextSelection = Pick<
  TrainOptions,
  'textColumn' | 'idsTokenizer' | 'separator' | 'qmsum' | 'onBadDocument' | 'longDocuments' | 'evalFraction'
>;

/** What tells a text, as documents of it become pieces, from others. */
export async function textKey(
  paths: readonly string[],
  { textColumn, idsTokenizer: ids, separator, qmsum, ...selection }: TextSelection,
  { bos, eos, lossOn, chatTemplate }: EncodingOptions,
): Promise<string> {
  const { onBadDocument, longDocuments, evalFraction } = selection;
  const contents = Object.values(await hashTexts(paths)).sort();
  const facts = [
    ...[contents, paths.filter(isRemote).sort(), textColumn, separator, onBadDocument, longDocuments],
    ...[evalFraction, bos, eos, lossOn, chatTemplate && hashOfTemplate(chatTemplate)],
    ...(qmsum ? [qmsum] : []),
    ...(ids === undefined ? [] : [fingerprintOf(await idsTokenizer(ids))]),
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/** Of the disk that a folder is on, or would be. @throws InputError when it is a file, or below one */
function freeBytesAt(folder: string): number {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  if (!statSync(there).isDirectory()) {
    throw new InputError(`--teacher-cache: expected a folder, found a file at ${there}; choose another path`);
  }
  const { bavail, bsize } = statfsSync(there);
  return bavail * bsize;
}
