import { commandOf } from './command.js';
import { runProgram } from './exit.js';
import { evaluate } from './index.js';
import { EVALUATE_OPTIONS, type EvaluateInput } from './options.js';
import { showDownloads } from './report/downloads.js';

await runProgram(async () => {
  const command = commandOf('evaluate', 'Scores a text with a model: perplexity.', EVALUATE_OPTIONS);
  const options = command.parse().opts<EvaluateInput>();
  const result = await evaluate(options, showDownloads());
  const { tokens, nll, perplexity, seconds } = result;
  const readable =
    `${tokens.toLocaleString('en')} tokens  ${nll.toFixed(4)} nats per token  perplexity ${perplexity.toFixed(3)}` +
    `  (${seconds.toFixed(1)} s)`;
  process.stdout.write(`${options.json ? JSON.stringify(result) : readable}\n`);
});
