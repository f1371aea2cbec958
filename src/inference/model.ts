import { Observable } from 'rxjs';
import { atOnce } from '../base/atOnce.js';
import { excerpt, InputError } from '../base/errors.js';
import { onStop, throwIfStopped, untilStopped } from '../base/stopping.js';
import { textTokens } from '../data/encoding.js';
import type { Encoded } from '../data/examples.js';
import { NO_LABEL, type Row } from '../data/packing/rows.js';
import { evaluationRows } from '../data/packing/windows.js';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js';
import type { Device, Session } from '../devices/device.js';
import { openDevice } from '../devices/openDevice.js';
import { scoreContinuations } from '../evaluation/continuations.js';
import { meanLoss, rowLogits, SCORING } from '../evaluation/perplexity.js';
import type { Choices, ContinuationScore, MeanLoss, ScoringHooks } from '../evaluation/scoring.js';
import { type Adapter, checkAdapter, readAdapter } from '../formats/adapter.js';
import { resolveModel } from '../hub/resolveModel.js';
import { endOfTextIds } from '../model/endOfText.js';
import { loraOptions, loraShapes } from '../model/lora.js';
import { checkSequence, checkTokenizer, openModelFiles } from '../model/modelFiles.js';
import { type EvaluationModule, evaluationModule } from '../model/programs.js';
import { compilingOf, loadingOf, type Starting } from '../model/starting.js';
import { loadWeights, type ModelFiles, sourcesOf } from '../model/weights.js';
import { EVALUATE_OPTIONS } from '../options/evaluate.js';
import { checkDrawing } from '../options/generate.js';
import { checkedOptions, type Resolved } from '../options/table.js';
import { scoreChoices } from './choices.js';
import type { Completion, GenerationRecord } from './completion.js';
import { complete, GENERATING, type NumberedPrompt } from './generation.js';
import { checkedChoices, checkedExamples, checkedIds, checkedRows } from './given.js';
import { KeyValueCache } from './keyValueCache.js';
import {
  COMPLETION_OPTIONS,
  type CompletionOptions,
  MODEL_OPTIONS,
  type ModelOptions,
  PERPLEXITY_OPTIONS,
  type PerplexityOptions,
} from './options.js';
import { type Prompt, PromptEncoder } from './prompts.js';
import { Turns } from './turns.js';

/** Windows are scored together up to about this many tokens. */
const RUN_TOKENS = 2048;

/** What a stopped call of `loadModel` was for. */
const LOADING = 'load the model';

interface Shape {
  /** Windows scored at once, and the tokens of one. */
  readonly rows: number;
  readonly sequence: number;
  /** Rows of the embedding: token ids are below it. */
  readonly vocabulary: number;
}

interface Loaded {
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  readonly session: Session;
  readonly module: EvaluationModule;
  readonly shape: Shape;
  readonly prompts: PromptEncoder;
  readonly eosIds: readonly number[];
}

/**
 * A model, with an adapter or without, ready to score text. Calls take turns in the order in which they are made: their
 * values are those of calls made one after the other. A call that is refused, fails or is stopped leaves the model as it
 * was. Close it when done.
 */
export class Model {
  readonly tokenizer: Tokenizer;
  readonly #device: Device;
  readonly #session: Session;
  readonly #module: EvaluationModule;
  readonly #shape: Shape;
  readonly #prompts: PromptEncoder;
  readonly #eosIds: readonly number[];
  readonly #cache: KeyValueCache | undefined;
  readonly #turns = new Turns('the model');

  /** @internal */
  constructor({ tokenizer, device, session, module, shape, prompts, eosIds }: Loaded) {
    this.tokenizer = tokenizer;
    this.#device = device;
    this.#session = session;
    this.#module = module;
    this.#shape = shape;
    this.#prompts = prompts;
    this.#eosIds = eosIds;
    this.#cache = module.cache && new KeyValueCache(session, module.cache);
  }

  /**
   * Mean negative log-likelihood of a text, read as one document: BOS, then its tokens, cut into consecutive windows;
   * each window of N tokens predicts its own tokens 2..N from its own 1..N-1. BOS is what the tokenizer itself adds.
   * @throws InputError for a text without anything to predict, and after `close`; RunError when the signal says stop
   */
  async perplexity(text: string, options: PerplexityOptions = {}): Promise<MeanLoss> {
    const { name, signal } = checkedOptions(PERPLEXITY_OPTIONS, options);
    return this.score(this.#windows(text, name), { signal });
  }

  /**
   * The same of windows as they come, each a row of at most `sequence` tokens.
   * @throws InputError for other rows, when there is nothing to predict, and after `close`; RunError when the signal says
   * stop
   */
  async score(
    rows: Iterable<Row> | AsyncIterable<Row>,
    { signal, onScored }: ScoringHooks = {},
  ): Promise<MeanLoss> {
    this.#checkWindows();
    const given = checkedRows(rows, this.#shape);
    const run = () => this.#session.run('evaluate');
    const score = () =>
      meanLoss(this.#session, this.#module.evaluate, given, this.#shape.rows, run, { signal, onScored });
    return untilStopped(() => this.#turns.take(score), signal, SCORING);
  }

  /**
   * Log-likelihoods of what is to be learned of each example, given what is before it in the example, and whether it is
   * what greedy decoding gives; in the order of the examples, each of at most `sequence` + 1 tokens.
   * @throws InputError for an example of other ids, with nothing to predict or too long, and after `close`; RunError when
   * the signal says stop, or a log-likelihood is not finite
   */
  async continuations(
    examples: Iterable<Encoded> | AsyncIterable<Encoded>,
    { signal, onScored }: ScoringHooks = {},
  ): Promise<ContinuationScore[]> {
    const given = checkedExamples(examples, this.#shape.vocabulary);
    const run = () => this.#session.run('evaluate');
    const score = () =>
      scoreContinuations(this.#session, this.#module.evaluate, given, this.#shape, run, { signal, onScored });
    return untilStopped(() => this.#turns.take(score), signal, SCORING);
  }

  /** Tokens that went through the model in `choices`, `generate` and `complete` so far, without padding. */
  get forwarded(): number {
    return this.#cache?.forwarded ?? 0;
  }

  /**
   * Log-likelihoods of what may follow a context, see `scoreChoices`; and how many tokens went through the model. The
   * arrays may be changed once the call has returned.
   * @throws InputError for other ids or none, and when the model was loaded without `context`, or with too little; RunError
   * when the signal says stop, or a log-likelihood is not finite
   */
  async choices(
    groups: readonly Choices[],
    { signal, onScored }: Pick<ScoringHooks, 'signal' | 'onScored'> = {},
  ): Promise<{ readonly scores: ContinuationScore[][]; readonly forwarded: number }> {
    const cache = this.#opened('choices');
    const given = checkedChoices(groups, this.#shape.vocabulary);
    const score = async () => {
      const before = cache.forwarded;
      const scores = await scoreChoices(cache, given, { signal, onScored });
      return { scores, forwarded: cache.forwarded - before };
    };
    return untilStopped(() => this.#turns.take(score), signal, SCORING);
  }

  /**
   * Writes what follows prompts: text as it comes, in whole characters, and each completion once it is over. What a prompt
   * shares with the one before it is not read again. Prompts and options are taken as they are when the call is made. Work
   * begins with the subscription, and ends when it does.
   * The Observable fails with an InputError for wrong options, a prompt that can't be encoded or is too long for `context`,
   * and a model that was loaded without one; with a RunError at once when the signal says stop, and when logits are not
   * finite.
   */
  generate(
    prompts: Prompt | readonly Prompt[],
    options: CompletionOptions = {},
  ): Observable<GenerationRecord> {
    const asked = atOnce(() => {
      const { signal, ...settings } = checkedOptions(COMPLETION_OPTIONS, options);
      checkDrawing(settings);
      const cache = this.#opened('generate');
      return {
        signal,
        settings,
        cache,
        numbered: this.#numbered(prompts, settings.maxTokens, cache.capacity),
      };
    });
    return new Observable((subscriber) => {
      const left = new AbortController();
      const run = async () => {
        const { signal, settings, cache, numbered } = asked();
        const stop = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
        const write = async () => {
          const records = complete(cache, this.tokenizer, numbered, settings, this.#eosIds, { signal: stop });
          for await (const record of records) subscriber.next(record);
        };
        await untilStopped(() => this.#turns.take(write), stop, GENERATING);
      };
      run().then(
        () => subscriber.complete(),
        (error) => subscriber.error(error),
      );
      return () => left.abort();
    });
  }

  /** The completions that `generate` gives, in the order of the prompts. @throws as it does */
  async complete(prompts: readonly Prompt[], options: CompletionOptions = {}): Promise<Completion[]> {
    const completions: Completion[] = [];
    await this.generate(prompts, options).forEach((record) => {
      if (record.type === 'end') completions[record.prompt] = record;
    });
    return completions;
  }

  /**
   * Logits f32 [tokens, V], row by row, of one document of at most `sequence` tokens.
   * @param tokens ids, each a row of the embedding; the array may be changed once the call has returned
   * @throws InputError for other ids or another number of them, and after `close`
   */
  async logits(tokens: ArrayLike<number>): Promise<Float32Array> {
    const ids = this.#checkedIds(tokens);
    const positions = Uint32Array.from(ids, (_, i) => i);
    const labels = new Int32Array(ids.length).fill(NO_LABEL);
    const row = { tokens: ids, positions, labels, filled: ids.length, documents: [] };
    return this.#turns.take(() => rowLogits(this.#session, this.#module, row));
  }

  /** Frees the device once the calls made before are over; calls made from now on reject. May be called again. */
  close(): Promise<void> {
    return this.#turns.end(() => this.#device.close());
  }

  #opened(call: string): KeyValueCache {
    if (this.#cache) return this.#cache;
    throw new InputError(
      `${call}: expected a model with room for a text and what follows, found none; load it with { context: TOKENS }`,
    );
  }

  #numbered(prompts: Prompt | readonly Prompt[], maxTokens: number, capacity: number): NumberedPrompt[] {
    const all = Array.isArray(prompts) ? (prompts as readonly Prompt[]) : [prompts as Prompt];
    return all.map((prompt, index) => {
      const name = all.length === 1 ? 'prompt' : `prompt ${index + 1}`;
      const ids = this.#prompts.encode(prompt, name);
      // The last new token is not read.
      if (ids.length + maxTokens - 1 <= capacity) return { index, ids };
      throw new InputError(
        `${name}: expected at most ${capacity} tokens with what follows, found ${ids.length} and up to ${maxTokens} new ` +
          'ones; shorten it, lower --max-tokens, or raise --context',
      );
    });
  }

  #checkWindows(): void {
    const { sequence } = this.#shape;
    if (sequence < 2) {
      throw new InputError(
        `perplexity: expected windows of at least 2 tokens, one to predict from the other, found --sequence ${sequence}`,
      );
    }
  }

  #windows(text: string, name: string): Row[] {
    if (typeof text !== 'string') throw new InputError(`perplexity: expected a text, found ${excerpt(text)}`);
    this.#checkWindows();
    const { sequence } = this.#shape;
    const tokens = textTokens(this.tokenizer, text, this.tokenizer.before, false);
    const rows = [...evaluationRows({ tokens }, sequence, name)];
    if (rows.length > 0) return rows;
    throw new InputError(`${name}: expected at least two tokens, found ${tokens.length}`);
  }

  #checkedIds(tokens: ArrayLike<number>): Uint32Array {
    const { sequence, vocabulary } = this.#shape;
    const length = tokens?.length;
    if (!(Number.isInteger(length) && length >= 1 && length <= sequence)) {
      throw new InputError(`logits: expected 1 to ${sequence} tokens, found ${length ?? excerpt(tokens)}`);
    }
    return checkedIds(tokens, vocabulary, 'logits');
  }
}

/**
 * Loads a Hugging Face folder, or `owner/name[@revision]` from the cache or the Hub.
 * @throws InputError when an option is wrong, or when model, tokenizer, adapter and device do not fit together; RunError
 * when the signal says stop
 */
export async function loadModel(model: string, options: ModelOptions = {}): Promise<Model> {
  const given = checkedOptions(MODEL_OPTIONS, options);
  const { model: name } = checkedOptions({ model: EVALUATE_OPTIONS.model }, { model });
  return untilStopped(() => load(name, given), given.signal, LOADING);
}

async function load(model: string, options: Resolved<typeof MODEL_OPTIONS>): Promise<Model> {
  const { folder } = await resolveModel(model, { onProgress: options.onDownload, signal: options.signal });
  return openModel(folder, await loadTokenizer(folder), options);
}

/**
 * Loads a model of a folder on this machine, whose tokenizer is there already. Otherwise as `loadModel`.
 * @internal
 */
export async function openModel(
  folder: string,
  tokenizer: Tokenizer,
  options: Resolved<typeof MODEL_OPTIONS>,
): Promise<Model> {
  const { sequence, context, batch, onDownload: onProgress, onStarting, signal } = options;
  const tell = (starting: Starting) => onStarting?.({ type: 'progress', ...starting });
  const files = openModelFiles(folder);
  checkSequence(files, sequence);
  checkSequence(files, context, '--context');
  const adapter =
    options.adapter === undefined
      ? undefined
      : readAdapter((await resolveModel(options.adapter, { kind: 'adapter', onProgress, signal })).folder);
  const lora = adapter && loraOptions(adapter.config, files.config);
  if (adapter && lora) checkAdapter(adapter, loraShapes(files.config, lora));
  checkTokenizer(files, tokenizer);
  // Windows of one token have nothing to predict.
  const rows = sequence === 1 ? 1 : Math.max(1, Math.floor(RUN_TOKENS / sequence));
  const shape = { rows, sequence, vocabulary: files.config.vocabularySize };
  const cache = context > 0 ? { rows: batch, capacity: context } : undefined;
  const module = evaluationModule(files, shape, lora, cache);
  const prompts = new PromptEncoder(tokenizer, shape.vocabulary, folder, options.chatTemplate);
  const eosIds = endOfTextIds(files, tokenizer);
  const { threads, kernels, tune } = options;
  const device = await openDevice(options.device, { threads, kernels, tune });
  try {
    throwIfStopped(signal, LOADING);
    const session = await device.compile(module.module, (compiling) => tell(compilingOf('model', compiling)));
    const onLoaded = (bytes: number, total: number) => tell(loadingOf('model', bytes, total));
    await fill(session, module, { files, adapter, onLoaded, signal });
    return new Model({ tokenizer, device, session, module, shape, prompts, eosIds });
  } catch (error) {
    await device.close();
    throw error;
  }
}

interface Filling {
  readonly files: ModelFiles;
  readonly adapter: Adapter | undefined;
  readonly onLoaded: (bytes: number, total: number) => void;
  /** Ends it: the session closes, and what is written rejects. */
  readonly signal: AbortSignal | undefined;
}

/** Writes the weights and the adapter's factors. */
async function fill(
  session: Session,
  { weights, lora }: EvaluationModule,
  { files, adapter, onLoaded, signal }: Filling,
): Promise<void> {
  throwIfStopped(signal, LOADING);
  const leave = onStop(signal, () => void session.close());
  try {
    await loadWeights(session, sourcesOf(files), weights, onLoaded);
    if (!adapter || !lora) return;
    for (const [name, value] of lora.values) await session.write(value, adapter.tensors.get(name)!.data);
  } finally {
    leave();
  }
}
