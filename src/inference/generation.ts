import { DivergedError } from '../base/errors.js';
import type { IncrementalDecoder, Tokenizer } from '../data/tokenizer.js';
import type { GenerationRecord } from './completion.js';
import type { Tokens } from './continuationPieces.js';
import type { KeyValueCache, ReadingHooks } from './keyValueCache.js';
import { Sampler, type Sampling } from './sampling.js';
import { StopText } from './stopText.js';

export interface GenerationSettings extends Sampling {
  readonly maxTokens: number;
  /** Texts that end a completion, see `StopText`. */
  readonly stop: readonly string[];
  readonly seed: number;
}

/** What a stopped call was for. */
export const GENERATING = 'write all completions';

/** A prompt and its number among all of a call. */
export interface NumberedPrompt {
  readonly index: number;
  readonly ids: Tokens;
}

/**
 * Writes completions of prompts, as many at a time as the cache has rows. What is drawn for a prompt depends on seed and
 * number of the prompt, not on those beside it.
 * @param eosIds tokens that end a completion
 * @throws InputError for a prompt that the cache has no room for; RunError when the signal says stop, or logits are not
 * finite
 */
export async function* complete(
  cache: KeyValueCache,
  tokenizer: Tokenizer,
  prompts: readonly NumberedPrompt[],
  settings: GenerationSettings,
  eosIds: readonly number[],
  hooks: ReadingHooks = {},
): AsyncGenerator<GenerationRecord> {
  const endings = new Set([...eosIds, ...specialStops(settings.stop, tokenizer)]);
  for (let first = 0; first < prompts.length; first += cache.rows) {
    const together = prompts.slice(first, first + cache.rows);
    const writers = together.map((prompt) => new Writer(prompt, tokenizer, settings, endings));
    let logits = await cache.read(
      together.map(({ ids }) => ids),
      hooks,
    );
    for (;;) {
      const next: (number | undefined)[] = [];
      for (const [row, writer] of writers.entries()) {
        if (writer.isOver) continue;
        const { id, records } = writer.write(logits[row]!);
        if (!writer.isOver) next[row] = id;
        yield* records;
      }
      if (writers.every(({ isOver }) => isOver)) break;
      logits = await cache.advance(Array.from(next), hooks);
    }
  }
}

/** Ids of stop texts that `StopText` never sees: the decoder leaves special tokens out. */
const specialStops = (stop: readonly string[], tokenizer: Tokenizer): number[] =>
  stop.flatMap((text) => {
    const id = tokenizer.idOf(text);
    return id !== undefined && tokenizer.isSpecial(id) ? [id] : [];
  });

/** Of all that could be chosen: a choice among some numbers would be one of another model. */
function checkFinite(logits: Float32Array): void {
  for (let id = 0; id < logits.length; id++) {
    if (Number.isFinite(logits[id])) continue;
    throw new DivergedError(`expected finite logits, found ${logits[id]}; check the model and its adapter`);
  }
}

/** One completion on its way. */
class Writer {
  isOver = false;
  readonly #index: number;
  readonly #settings: GenerationSettings;
  readonly #endings: ReadonlySet<number>;
  readonly #sampler: Sampler;
  readonly #decoder: IncrementalDecoder;
  readonly #stop: StopText;
  readonly #seen: Set<number>;
  readonly #ids: number[] = [];
  #text = '';

  constructor(
    { index, ids }: NumberedPrompt,
    tokenizer: Tokenizer,
    settings: GenerationSettings,
    endings: ReadonlySet<number>,
  ) {
    this.#index = index;
    this.#settings = settings;
    this.#endings = endings;
    this.#sampler = new Sampler(settings, settings.seed, index);
    this.#decoder = tokenizer.decoder({ skipSpecialTokens: true });
    this.#stop = new StopText(settings.stop);
    this.#seen = new Set(Array.from(ids));
  }

  /** Chooses one more token. */
  write(logits: Float32Array): { readonly id: number; readonly records: GenerationRecord[] } {
    checkFinite(logits);
    const id = this.#sampler.choose(logits, this.#seen);
    this.#seen.add(id);
    this.#ids.push(id);
    const isEnding = this.#endings.has(id);
    let text = isEnding ? '' : this.#stop.push(this.#decoder.push(id));
    this.isOver = isEnding || this.#stop.isOver || this.#ids.length >= this.#settings.maxTokens;
    if (this.isOver) text += this.#stop.push(this.#decoder.end()) + this.#stop.end();
    this.#text += text;
    const records: GenerationRecord[] = text === '' ? [] : [{ type: 'text', prompt: this.#index, text }];
    if (this.isOver) records.push(this.#end(isEnding));
    return { id, records };
  }

  #end(isEnding: boolean): GenerationRecord {
    const finish = isEnding || this.#stop.isOver ? 'stop' : 'length';
    return { type: 'end', prompt: this.#index, ids: this.#ids, text: this.#text, finish };
  }
}
