import { jsonLine } from './base/errors.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { evaluationText } from './cli/evaluateTexts.js';
import { runAlone } from './cli/ranks.js';
import { abortOnSignals } from './cli/signals.js';
import { evaluate } from './index.js';
import { EVALUATE_FLAGS, type EvaluateGiven } from './options/evaluate.js';
import { showDownloads } from './report/downloads.js';
import { showEvaluating } from './report/evaluating.js';
import { showStarting } from './report/starting.js';

const TEXTS: CommandTexts = {
  name: 'evaluate',
  description:
    'Scores a text with a model, with an adapter or without: perplexity. Or the model in benchmarks.',
  usage: ['--model MODEL --perplexity PATH [options]', '--model MODEL --tasks TASK,... [options]'],
  examples: [
    '--model STUDENT --perplexity text.txt',
    '--model STUDENT --adapter ADAPTER --perplexity a.jsonl',
    '--model STUDENT --tasks arc_challenge,mmlu --limit 100',
  ],
};

await runAlone(async () => {
  const flags = commandOf(TEXTS, EVALUATE_FLAGS).parse();
  const { json, ...options } = flags.opts<EvaluateGiven & { json?: true }>();
  const progress = showEvaluating();
  const hooks = {
    onDownload: showDownloads(),
    onStarting: showStarting().update,
    onProgress: progress.text,
    onTask: progress.task,
    signal: abortOnSignals(),
  };
  const result = await evaluate(options, hooks).finally(progress.done);
  process.stdout.write(`${json ? jsonLine(result) : evaluationText(result)}\n`);
});
