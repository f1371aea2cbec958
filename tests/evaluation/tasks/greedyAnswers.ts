import { throwIfStopped } from '#src/base/stopping.js';
import type { Tokenizer } from '#src/data/tokenizer.js';
import { SCORING } from '#src/evaluation/perplexity.js';
import { cutAtStops, type Generator, type WrittenAnswer } from '#src/evaluation/tasks/scorer.js';

/** What gives the logits f32 [tokens, V] of a text. */
export interface LogitsModel {
  readonly tokenizer: Pick<Tokenizer, 'decode' | 'eosId'>;
  logits(tokens: ArrayLike<number>): Promise<Float32Array>;
}

/** Greedy decoding that reads all of the text again for each new token. */
export function greedyAnswers(model: LogitsModel, signal?: AbortSignal): Generator {
  let forwarded = 0;
  const next = async (ids: readonly number[]): Promise<number> => {
    throwIfStopped(signal, SCORING);
    const logits = await model.logits(ids);
    forwarded += ids.length;
    return largest(logits.subarray(logits.length - logits.length / ids.length));
  };
  const write = async (
    prompt: Uint32Array,
    maxTokens: number,
    stop: readonly string[],
  ): Promise<WrittenAnswer> => {
    const ids: number[] = [];
    while (ids.length < maxTokens) {
      const id = await next([...prompt, ...ids]);
      ids.push(id);
      if (id === model.tokenizer.eosId) break;
      const text = model.tokenizer.decode(ids);
      if (stop.some((end) => text.includes(end))) break;
    }
    const text = model.tokenizer.decode(ids, { skipSpecialTokens: true });
    return { ids: Uint32Array.from(ids), text: cutAtStops(text, stop) };
  };
  return {
    get forwarded() {
      return forwarded;
    },
    async complete(prompts, { maxTokens, stop }) {
      const answers: WrittenAnswer[] = [];
      for (const prompt of prompts) answers.push(await write(prompt, maxTokens, stop));
      return answers;
    },
  };
}

function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
