import { jsonLine } from './base/errors.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { runRanks, sameOptions } from './cli/ranks.js';
import { abortOnSignals } from './cli/signals.js';
import { corpusText } from './cli/tokenizeTexts.js';
import { tokenize } from './index.js';
import { TOKENIZE_FLAGS, type TokenizeInput } from './options/tokenize.js';
import { showDownloads } from './report/downloads.js';
import { showTokenizing } from './report/tokenizing.js';

const TEXTS: CommandTexts = {
  name: 'tokenize',
  description: 'Says what text comes to in tokens of a model, and writes token shards that train reads.',
  usage: ['--model MODEL --data PATH... [options]'],
  examples: ['--model STUDENT --data text.jsonl', '--model STUDENT --data corpus/ --out shards'],
};

type Flags = TokenizeInput & { json?: true };

await runRanks(async (world) => {
  const { json, ...options } = await sameOptions<Flags>(world, commandOf(TEXTS, TOKENIZE_FLAGS));
  const signal = abortOnSignals();
  if (world.rank > 0) return void (await tokenize(options, { signal }, world));
  const progress = showTokenizing();
  const hooks = { onDownload: showDownloads(), onProgress: progress.update, signal };
  const corpus = await tokenize(options, hooks, world).finally(progress.done);
  process.stdout.write(`${json ? jsonLine(corpus) : corpusText(options, corpus)}\n`);
  return undefined;
});
