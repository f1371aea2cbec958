import type { Encoded } from '#src/data/examples.js';
import type { ContinuationScore, ScoringHooks } from '#src/evaluation/scoring.js';
import type { ScoredGroup, Scorer } from '#src/evaluation/tasks/scorer.js';

/** What scores examples, each of it whole. */
export interface ContinuationModel {
  continuations(examples: Iterable<Encoded>, hooks?: ScoringHooks): Promise<ContinuationScore[]>;
}

/** Scores each continuation with its context in a sequence of its own; those that are the same are scored once. */
export function wholeSequences(model: ContinuationModel, signal?: AbortSignal): Scorer {
  let forwarded = 0;
  return {
    get forwarded() {
      return forwarded;
    },
    async score(groups) {
      const { examples, places } = distinct(groups);
      const scores = await model.continuations(examples, { signal });
      for (const { tokens } of examples) forwarded += tokens.length - 1;
      return places.map((ofGroup) => ofGroup.map((place) => scores[place]!));
    },
  };
}

/** The different examples, and which of them each continuation is. */
function distinct(groups: readonly ScoredGroup[]): { examples: Encoded[]; places: number[][] } {
  const examples: Encoded[] = [];
  const places = groups.map(({ context, continuations }) => {
    const known = new Map<string, number>();
    return continuations.map((continuation) => {
      const key = continuation.join();
      const place = known.get(key) ?? examples.push(exampleOf(context, continuation)) - 1;
      known.set(key, place);
      return place;
    });
  });
  return { examples, places };
}

function exampleOf(context: Uint32Array, continuation: Uint32Array): Encoded {
  const tokens = new Uint32Array(context.length + continuation.length);
  tokens.set(context);
  tokens.set(continuation, context.length);
  return { tokens, learned: new Uint8Array(tokens.length).fill(1, context.length) };
}
