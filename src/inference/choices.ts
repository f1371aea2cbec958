import { bothScores, type Choices, type ContinuationScore, finiteScore } from '../evaluation/scoring.js';
import type { Tokens } from './continuationPieces.js';
import type { KeyValueCache, ReadingHooks } from './keyValueCache.js';
import { likeliest } from './sampling.js';

/**
 * Scores continuations, given their context: it is read once for all of them, and what it shares with the one before in
 * the same row of the cache is not read again. So an order that puts contexts of one preamble beside each other is the
 * fastest.
 * @param onScored told how many of `groups` are done
 * @throws InputError when the cache has no room; RunError when the signal says stop, or a log-likelihood is not finite
 */
export async function scoreChoices(
  cache: KeyValueCache,
  groups: readonly Choices[],
  hooks: ReadingHooks & { readonly onScored?: ((groups: number) => void) | undefined } = {},
): Promise<ContinuationScore[][]> {
  const scores: ContinuationScore[][] = [];
  for (let first = 0; first < groups.length; first += cache.rows) {
    const together = groups.slice(first, first + cache.rows);
    const contexts = together.map(({ context }) => context);
    const logits = await cache.read(contexts, hooks);
    const rest = await cache.score(
      together.map(({ continuations }) => continuations),
      hooks,
    );
    for (const [row, { continuations }] of together.entries()) {
      const firsts = firstTokens(logits[row]!, continuations);
      scores.push(continuations.map((_, i) => finiteScore(bothScores(firsts[i]!, rest[row]![i]!))));
    }
    hooks.onScored?.(scores.length);
  }
  return scores;
}

/** Of the first token of each continuation. */
function firstTokens(logits: Float32Array, continuations: readonly Tokens[]): ContinuationScore[] {
  const top = likeliest(logits);
  const largest = logits[top]!;
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  const normaliser = largest + Math.log(sum);
  return continuations.map(({ 0: id }) => ({
    logLikelihood: logits[id!]! - normaliser,
    tokens: 1,
    isGreedy: id === top,
  }));
}
