import type { Tokenizer } from '../data/tokenizer.js';
import type { Generator, Scorer } from '../evaluation/tasks/scorer.js';
import { checkedOptions } from '../options/table.js';
import { scoreChoices } from './choices.js';
import { complete } from './generation.js';
import type { KeyValueCache, ReadingHooks } from './keyValueCache.js';
import { COMPLETION_OPTIONS } from './options.js';

/** A context is read once for all that may follow it, and what it shares with the one before is not read again. */
export const cacheScorer = (cache: KeyValueCache, hooks: ReadingHooks): Scorer => ({
  get forwarded() {
    return cache.forwarded;
  },
  score: (groups) => scoreChoices(cache, groups, hooks),
});

/** Writes greedily, as many answers at once as the cache has rows. @param eosIds tokens that end one */
export const cacheGenerator = (
  cache: KeyValueCache,
  tokenizer: Tokenizer,
  eosIds: readonly number[],
  hooks: ReadingHooks,
): Generator => ({
  get forwarded() {
    return cache.forwarded;
  },
  async complete(prompts, { maxTokens, stop }) {
    const { signal: _, ...settings } = checkedOptions(COMPLETION_OPTIONS, { maxTokens, stop: [...stop] });
    const numbered = prompts.map((ids, index) => ({ ids, index }));
    const answers: { ids: Uint32Array; text: string }[] = [];
    for await (const record of complete(cache, tokenizer, numbered, settings, eosIds, hooks)) {
      if (record.type !== 'end') continue;
      answers[record.prompt] = { ids: Uint32Array.from(record.ids), text: record.text };
    }
    return answers;
  },
});
