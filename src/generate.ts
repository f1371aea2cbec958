import { InputError, jsonLine } from './base/errors.js';
import { chat } from './cli/chat.js';
import { type CommandTexts, commandOf } from './cli/command.js';
import { outputLost } from './cli/program.js';
import { runAlone } from './cli/ranks.js';
import { abortOnSignals } from './cli/signals.js';
import { generate, type Prompt } from './index.js';
import { GENERATE_FLAGS, type GenerateInput } from './options/generate.js';
import type { Given } from './options/table.js';
import { showDownloads } from './report/downloads.js';
import { InOrder } from './report/generating.js';
import { showStarting } from './report/starting.js';

const TEXTS: CommandTexts = {
  name: 'generate',
  description: 'Writes what follows a prompt with a model, with an adapter or without, or talks.',
  usage: [
    '--model MODEL --prompt TEXT [options]',
    '--model MODEL --data FILE [options]',
    '--model MODEL --chat [options]',
  ],
  examples: [
    "--model STUDENT --prompt 'Once upon a time'",
    '--model STUDENT --data prompts.jsonl --json',
    '--model STUDENT --chat',
  ],
};

await runAlone(async () => {
  const flags = commandOf(TEXTS, GENERATE_FLAGS).parse().opts<Given<typeof GENERATE_FLAGS>>();
  const signal = AbortSignal.any([abortOnSignals(), outputLost]);
  if (flags.chat) return chat(flags, signal);
  for (const name of ['system', 'context'] as const) {
    if (flags[name] !== undefined) throw new InputError(`--${name}: expected --chat beside it, found none`);
  }
  const { json = false, chat: _, ...options } = flags;
  return write(options, json, signal);
});

async function write(options: GenerateInput, json: boolean, signal: AbortSignal): Promise<void> {
  let prompts: readonly Prompt[] = [];
  const { stdout } = process;
  const inOrder = json
    ? new InOrder(
        () => {},
        ({ ids, text, finish }, i) =>
          stdout.write(`${jsonLine({ prompt: shown(prompts[i]!), ids, text, finish })}\n`),
      )
    : new InOrder(
        (text) => stdout.write(text),
        () => stdout.write('\n'),
      );
  const onPrompts = (found: readonly Prompt[]) => {
    prompts = found;
  };
  const starting = showStarting();
  const hooks = { onDownload: showDownloads(), onStarting: starting.update, onPrompts, signal };
  await generate(options, hooks)
    .forEach((record) => {
      starting.clear();
      inOrder.tell(record);
    })
    .finally(starting.clear);
}

/** A prompt as it was given. */
function shown(prompt: Prompt): unknown {
  if (typeof prompt === 'string') return prompt;
  return 'ids' in prompt ? Array.from(prompt.ids) : prompt.messages;
}
