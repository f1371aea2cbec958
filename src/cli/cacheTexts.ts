import { calling, quoted } from '../base/invocation.js';
import type { FilledCache } from '../library/cacheTeacher.js';
import { CACHE_OPTIONS, type CacheInput } from '../options/cache.js';
import { flagOf, type Option } from '../options/table.js';

const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** What is in the cache, and how to use it. */
export function cacheText(options: CacheInput, filled: FilledCache): string {
  const { folder, dtype, tokens, teacherTokens, bytes, seconds } = filled;
  const read =
    tokens === 0
      ? 'all of this text was there'
      : `${whole(tokens)} of this text, ${whole(teacherTokens)} of them read by the teacher in ${seconds.toFixed(1)} s`;
  return [
    `tokens     ${read}`,
    `cache      ${folder}: ${whole(bytes / 2 ** 20)} MiB of ${dtype}; to train over it:`,
    `  ${calling('train')} --student STUDENT --teacher ${quoted(options.model)} ${sharedFlags(options)} --teacher-cache ${quoted(folder)}`,
  ].join('\n');
}

/** What train has to be told, too: all that it reads text by, and where it computes. */
const SHARED = (Object.entries(CACHE_OPTIONS) as [keyof CacheInput, Option][])
  .filter(([name, { group }]) => group === 'data' || name === 'device' || name === 'kernels')
  .map(([name]) => name);

const sharedFlags = (options: CacheInput): string =>
  SHARED.flatMap((name) => {
    const value = options[name];
    if (value === undefined || value === false) return [];
    return value === true
      ? [flagOf(name)]
      : [value].flat().map((one) => `${flagOf(name)} ${quoted(String(one))}`);
  }).join(' ');
