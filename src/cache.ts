import { jsonLine } from './base/errors.js';
import { cacheText } from './cli/cacheTexts.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { runRanks, sameOptions } from './cli/ranks.js';
import { abortOnSignals } from './cli/signals.js';
import { cacheTeacher } from './index.js';
import { CACHE_FLAGS, type CacheInput } from './options/cache.js';
import { showCaching } from './report/caching.js';
import { showDownloads } from './report/downloads.js';

const TEXTS: CommandTexts = {
  name: 'cache',
  description:
    "Keeps a teacher's hidden states of a text on the disk, so that train asks the teacher for nothing. Options that " +
    'decide how text is read and cut have to be those of train.',
  usage: ['--model MODEL --data PATH... --out DIR [options]'],
  examples: [
    '--model TEACHER --data corpus/ --out cache',
    '--model TEACHER --data text.txt --sequence 128 --out cache',
  ],
};

type Flags = CacheInput & { json?: true };

await runRanks(async (world) => {
  const { json, ...options } = await sameOptions<Flags>(world, commandOf(TEXTS, CACHE_FLAGS));
  const signal = abortOnSignals();
  if (world.rank > 0) return void (await cacheTeacher(options, { signal }, world));
  const progress = showCaching();
  const hooks = { onDownload: showDownloads(), onProgress: progress.update, signal };
  const filled = await cacheTeacher(options, hooks, world).finally(progress.done);
  process.stdout.write(`${json ? jsonLine(filled) : cacheText(options, filled)}\n`);
  return undefined;
});
