import { createInterface } from 'node:readline/promises';
import { InputError } from '../base/errors.js';
import { onStop } from '../base/stopping.js';
import { Problem } from '../data/documents/problems.js';
import type { Message } from '../data/examples.js';
import { randomStream } from '../data/random.js';
import { resolveModel } from '../hub/resolveModel.js';
import { type CompletionOptions, type GenerationRecord, loadModel, type Model } from '../index.js';
import { MODEL_OPTIONS } from '../inference/options.js';
import { openChatTemplate } from '../inference/prompts.js';
import { mostTokens, openModelFiles } from '../model/modelFiles.js';
import { CHAT_CONTEXT, checkDrawing, GENERATE_FLAGS, SAMPLING_OPTIONS } from '../options/generate.js';
import { checkedOptions, flagOf, type Given, optionsIn } from '../options/table.js';
import { showDownloads } from '../report/downloads.js';
import { showStarting } from '../report/starting.js';

/** Where a conversation is read from and written to. */
type Terminal = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>;

/** Flags that have no meaning in a conversation. */
const OTHERS = ['prompt', 'data', 'batch', 'json'] as const;

/**
 * Talks with a model: each line of the input is a turn of the user, and what the model says is written as it comes. Ends
 * with the input, or when the signal says stop.
 * @throws InputError for flags that have no meaning in a conversation, a model without a chat template, and where the
 * conversation is longer than `context`
 */
export async function chat(
  given: Given<typeof GENERATE_FLAGS>,
  signal: AbortSignal,
  terminal: Terminal = process,
): Promise<void> {
  const other = OTHERS.find((name) => given[name] !== undefined);
  if (other) {
    const all = OTHERS.map(flagOf).join(', ');
    throw new InputError(`--chat: expected it without any of ${all}, found ${flagOf(other)}; leave one out`);
  }
  const flags = checkedOptions(GENERATE_FLAGS, given);
  checkDrawing(flags);
  const { model: name, system, seed, temperature } = flags;
  const onDownload = showDownloads();
  const { folder } = await resolveModel(name, { onProgress: onDownload, signal });
  checkTemplate(folder, flags.chatTemplate);
  const context = flags.context ?? Math.min(CHAT_CONTEXT, mostTokens(openModelFiles(folder)));
  const loading = { ...optionsIn(MODEL_OPTIONS, flags), context, batch: 1, sequence: 1 };
  const starting = showStarting();
  const hooks = { onDownload, onStarting: starting.update, signal };
  const model = await loadModel(folder, { ...loading, ...hooks }).finally(starting.clear);
  try {
    const sampling = { ...optionsIn(SAMPLING_OPTIONS, flags), signal };
    const messages: Message[] = system === undefined ? [] : [{ role: 'system', content: system }];
    for await (const line of linesOf(terminal, signal)) {
      messages.push({ role: 'user', content: line });
      const options = { ...sampling, seed: temperature > 0 ? randomStream(seed, messages.length)(0) : seed };
      messages.push({ role: 'assistant', content: await answer(model, messages, options, terminal) });
    }
  } finally {
    await model.close();
  }
}

/** Before weights are loaded and somebody types. @throws InputError where turns can't be written */
function checkTemplate(folder: string, file: string | undefined): void {
  try {
    openChatTemplate(folder, file);
  } catch (error) {
    throw error instanceof Problem ? new InputError(`--chat: ${error.message}`) : error;
  }
}

/** Lines with something in them, asked for one by one. */
async function* linesOf({ stdin, stderr }: Terminal, signal: AbortSignal): AsyncGenerator<string> {
  const lines = createInterface({ input: stdin, terminal: false });
  onStop(signal, () => lines.close());
  const ask = () => stdin.isTTY && stderr.write('> ');
  ask();
  for await (const line of lines) {
    if (line.trim() !== '') yield line;
    ask();
  }
}

async function answer(
  model: Model,
  messages: readonly Message[],
  options: CompletionOptions,
  { stdout }: Terminal,
): Promise<string> {
  let said = '';
  const tell = (record: GenerationRecord) => {
    if (record.type === 'text') stdout.write(record.text);
    else said = record.text;
  };
  await model.generate({ messages: [...messages] }, options).forEach(tell);
  stdout.write('\n');
  return said;
}
