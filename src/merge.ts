import { jsonLine } from './base/errors.js';
import { calling, quoted } from './base/invocation.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { runAlone } from './cli/ranks.js';
import { abortOnSignals } from './cli/signals.js';
import { merge } from './index.js';
import { MERGE_FLAGS, type MergeInput } from './options/merge.js';
import { showDownloads } from './report/downloads.js';
import { showMerging } from './report/merging.js';

const TEXTS: CommandTexts = {
  name: 'merge',
  description: 'Makes a model of a model and its adapters: a Hugging Face folder.',
  usage: ['--model MODEL --adapter ADAPTER[:WEIGHT]... --out DIR'],
  examples: [
    '--model STUDENT --adapter runs/0001 --out merged',
    '--model STUDENT --adapter a --adapter b:0.5 --out merged',
  ],
};

await runAlone(async () => {
  const flags = commandOf(TEXTS, MERGE_FLAGS).parse();
  const { json, ...options } = flags.opts<MergeInput & { json?: true }>();
  const progress = showMerging();
  const hooks = { onDownload: showDownloads(), onProgress: progress.update, signal: abortOnSignals() };
  const result = await merge(options, hooks).finally(progress.done);
  const { folder, merged, tensors, seconds } = result;
  const readable =
    `${folder}: ${merged} of ${tensors} tensors merged (${seconds.toFixed(1)} s); to score it:\n` +
    `  ${calling('evaluate')} --model ${quoted(folder)} --perplexity PATH`;
  process.stdout.write(`${json ? jsonLine(result) : readable}\n`);
});
