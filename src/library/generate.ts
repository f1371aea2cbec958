import { Observable } from 'rxjs';
import { atOnce } from '../base/atOnce.js';
import { InputError } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { loadTokenizer } from '../data/tokenizer.js';
import { resolveModel } from '../hub/resolveModel.js';
import type { GenerationRecord } from '../inference/completion.js';
import { GENERATING } from '../inference/generation.js';
import { openModel } from '../inference/model.js';
import { MODEL_OPTIONS, type ModelOptions } from '../inference/options.js';
import { type PlacedPrompt, readPrompts } from '../inference/promptFile.js';
import { type Prompt, PromptEncoder } from '../inference/prompts.js';
import { mostTokens, openModelFiles } from '../model/modelFiles.js';
import { checkDrawing, GENERATE_OPTIONS, type GenerateInput, SAMPLING_OPTIONS } from '../options/generate.js';
import { checkedOptions, optionsIn, type Resolved } from '../options/table.js';

export interface GenerateHooks {
  /** Told how far the download of a model by Hub name is. */
  readonly onDownload?: ModelOptions['onDownload'];
  /** Told how far the model is until it is ready. */
  readonly onStarting?: ModelOptions['onStarting'];
  /** Told the prompts that were found, before a model is loaded. */
  readonly onPrompts?: ((prompts: readonly Prompt[]) => void) | undefined;
  /** Ends the work with a RunError. */
  readonly signal?: AbortSignal | undefined;
}

type Options = Resolved<typeof GENERATE_OPTIONS>;

/**
 * Loads a model and writes what follows prompts: the library form of `node dist/generate.js`. Emits text as it comes, in
 * whole characters, and each completion once it is over; prompts are numbered from 0, a given `prompt` before those of
 * `data`. Options are taken as they are when the call is made; work begins with the subscription, and ends when it does.
 * The Observable fails with an InputError for wrong options, models and prompts; with a RunError when it is stopped.
 */
export function generate(input: GenerateInput, hooks: GenerateHooks = {}): Observable<GenerationRecord> {
  const options = atOnce(() => checkedOptions(GENERATE_OPTIONS, input));
  const told = { ...hooks };
  return new Observable((subscriber) => {
    const left = new AbortController();
    const signal = told.signal ? AbortSignal.any([told.signal, left.signal]) : left.signal;
    const emit = (record: GenerationRecord) => subscriber.next(record);
    untilStopped(async () => run(options(), { ...told, signal }, emit), signal, GENERATING).then(
      () => subscriber.complete(),
      (error) => subscriber.error(error),
    );
    return () => left.abort();
  });
}

async function run(
  options: Options,
  { onDownload, onStarting, onPrompts, signal }: GenerateHooks,
  emit: (record: GenerationRecord) => void,
): Promise<void> {
  const { prompt, data, batch } = options;
  checkDrawing(options);
  const given: PlacedPrompt[] = prompt === undefined ? [] : [{ prompt, place: '--prompt' }];
  const prompts = data === undefined ? given : given.concat(readPrompts(data));
  if (prompts.length === 0) {
    throw new InputError(
      'expected something to go on with, found none; give --prompt TEXT, --data FILE, or --chat',
    );
  }
  const { folder } = await resolveModel(options.model, { onProgress: onDownload, signal });
  const tokenizer = await loadTokenizer(folder);
  const files = openModelFiles(folder);
  const encoder = new PromptEncoder(tokenizer, files.config.vocabularySize, folder, options.chatTemplate);
  const ids = prompts.map((one) => encoder.encode(one.prompt, one.place));
  const lengths = prompts.map(({ place }, i) => ({ place, length: ids[i]!.length }));
  const context = contextFor(lengths, options, folder, mostTokens(files));
  onPrompts?.(prompts.map((one) => one.prompt));
  const room = { context, batch: Math.min(batch, ids.length), sequence: 1 };
  const loading = { ...optionsIn(MODEL_OPTIONS, options), ...room, onDownload, onStarting, signal };
  const model = await openModel(folder, tokenizer, checkedOptions(MODEL_OPTIONS, loading));
  try {
    const settings = { ...optionsIn(SAMPLING_OPTIONS, options), signal };
    await model
      .generate(
        ids.map((of) => ({ ids: of })),
        settings,
      )
      .forEach(emit);
  } finally {
    await model.close();
  }
}

/** Tokens that the longest prompt and what follows it take. @throws InputError where the model has fewer positions */
function contextFor(
  prompts: readonly { readonly place: string; readonly length: number }[],
  { maxTokens }: Options,
  folder: string,
  most: number,
): number {
  let longest = 0;
  for (const { place, length } of prompts) {
    longest = Math.max(longest, length);
    if (length + maxTokens - 1 <= most) continue;
    throw new InputError(
      `${place}: expected at most ${most} tokens with what follows, as ${folder} has positions, found ${length} ` +
        `and up to ${maxTokens} new ones; shorten it, or lower --max-tokens`,
    );
  }
  return longest + maxTokens - 1;
}
