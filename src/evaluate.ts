import { jsonLine } from './base/errors.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { runProgram } from './cli/program.js';
import { evaluate } from './index.js';
import { EVALUATE_FLAGS, type EvaluateInput } from './options/evaluate.js';
import { showDownloads } from './report/downloads.js';
import { showTokenizing } from './report/tokenizing.js';

const TEXTS: CommandTexts = {
  name: 'evaluate',
  description: 'Scores a text with a model, with an adapter or without: perplexity.',
  usage: ['--model MODEL --perplexity PATH [options]'],
  examples: [
    '--model STUDENT --perplexity text.txt',
    '--model STUDENT --adapter ADAPTER --perplexity a.jsonl',
  ],
};

await runProgram(async () => {
  const flags = commandOf(TEXTS, EVALUATE_FLAGS).parse();
  const { json, ...options } = flags.opts<EvaluateInput & { json?: true }>();
  const progress = showTokenizing();
  const hooks = { onDownload: showDownloads(), onProgress: progress.update };
  const result = await evaluate(options, hooks).finally(progress.done);
  const { tokens, nll, perplexity, seconds } = result;
  const readable =
    `${tokens.toLocaleString('en')} tokens  ${nll.toFixed(4)} nats per token  perplexity ${perplexity.toFixed(3)}` +
    `  (${seconds.toFixed(1)} s)`;
  process.stdout.write(`${json ? jsonLine(result) : readable}\n`);
});
