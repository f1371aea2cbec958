import { type CommandTexts, commandOf } from './command.js';
import { runProgram } from './exit.js';
import { type Corpus, type PackedRows, tokenize } from './index.js';
import { TOKENIZE_OPTIONS, type TokenizeInput } from './options.js';
import { showDownloads } from './report/downloads.js';
import { showTokenizing } from './report/tokenizing.js';

const TEXTS: CommandTexts = {
  name: 'tokenize',
  description: 'Says what text comes to in tokens of a model, and writes token shards that train reads.',
  usage: ['--model MODEL --data PATH... [options]'],
  examples: ['--model STUDENT --data text.jsonl', '--model STUDENT --data corpus/ --out shards'],
};

const whole = (value: number): string => value.toLocaleString('en');
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** A line for each thing to know. */
function readable({ model, eos }: TokenizeInput, corpus: Corpus): string {
  const { packing, longest, length, shards, skipped } = corpus;
  const { sequence, stream, bestFit, longerDocuments } = packing;
  const rowsOf = ({ rows, efficiency }: PackedRows) => `${whole(rows)} rows, ${percent(efficiency)} full`;
  const lines = [
    `documents  ${whole(corpus.documents)}${skipped > 0 ? `; ${whole(skipped)} that could not be read, or have nothing to learn in a row` : ''}`,
    `tokens     ${whole(corpus.tokens)} of ${whole(corpus.bytes)} bytes: ${corpus.bytesPerToken.toFixed(3)} bytes per token`,
    `length     median ${whole(length.median)}, 90 % up to ${whole(length.p90)}, 99 % up to ${whole(length.p99)} tokens`,
    `longest    ${whole(longest.tokens)} tokens: ${longest.document}`,
    `packing    in rows of ${whole(sequence)} tokens: stream ${rowsOf(stream)}; best-fit ${rowsOf(bestFit)}`,
    `           ${percent(longerDocuments)} of the documents are longer than a row`,
    `speed      ${whole(Math.round(corpus.tokensPerSecond))} tokens/s (${corpus.seconds.toFixed(1)} s)`,
  ];
  if (shards) {
    lines.push(
      `shards     ${whole(shards.files)} in ${shards.folder}; to train on them:`,
      `  node dist/train.js --student ${model} --data ${shards.folder}${eos ? ' --eos' : ''}`,
    );
  }
  return lines.join('\n');
}

/** The first signal ends the work, the second one the process. */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

await runProgram(async () => {
  const options = commandOf(TEXTS, TOKENIZE_OPTIONS).parse().opts<TokenizeInput>();
  const progress = showTokenizing();
  const hooks = { onDownload: showDownloads(), onProgress: progress.update, signal: stopOnSignals() };
  const corpus = await tokenize(options, hooks).finally(progress.done);
  process.stdout.write(`${options.json ? JSON.stringify(corpus) : readable(options, corpus)}\n`);
});
