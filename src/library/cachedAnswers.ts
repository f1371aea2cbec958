import type { Generator, Scorer } from '../evaluation/tasks/scorer.js';
import type { Model } from '../inference/model.js';

/** A context is read once for all that may follow it, and what it shares with the one before is not read again. */
export function cachedScorer(model: Model, signal?: AbortSignal): Scorer {
  let read = 0;
  return {
    get forwarded() {
      return read;
    },
    async score(groups) {
      const { scores, forwarded } = await model.choices(groups, { signal });
      read += forwarded;
      return scores;
    },
  };
}

/** Answers to several prompts at once, each token read once. */
export function cachedGenerator(model: Model, signal?: AbortSignal): Generator {
  let read = 0;
  return {
    get forwarded() {
      return read;
    },
    async complete(prompts, { maxTokens, stop }) {
      const given = prompts.map((ids) => ({ ids }));
      const before = model.forwarded;
      const completions = await model.complete(given, { maxTokens, stop: [...stop], signal });
      read += model.forwarded - before;
      return completions.map(({ ids, text }) => ({ ids: Uint32Array.from(ids), text }));
    },
  };
}
