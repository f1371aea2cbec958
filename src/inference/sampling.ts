import { randomStream } from '../data/random.js';

/** How the next token is chosen; names and meaning as in transformers. */
export interface Sampling {
  /** Logits are divided by it; 0 takes the likeliest token. */
  readonly temperature: number;
  /** Only the so many likeliest tokens; 0: all. */
  readonly topK: number;
  /** Only the likeliest tokens that together have at least this probability (Holtzman et al. 2019); 1: all. */
  readonly topP: number;
  /** Only tokens with at least this share of the likeliest one's probability (Nguyen et al. 2024); 0: all. */
  readonly minP: number;
  /** Logits of tokens that are there already are divided by it, or multiplied where negative (Keskar et al. 2019); 1: none. */
  readonly repetitionPenalty: number;
}

/** A token and the logarithm of its weight over that of the likeliest one: 0 at most. */
interface Candidate {
  readonly id: number;
  readonly score: number;
}

/** Chooses the tokens of one text. What is drawn depends on seed, stream, and the number of the draw alone. */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #random: (counter: number) => number;
  #drawn = 0;

  /** @param stream tells texts of one seed apart */
  constructor(sampling: Sampling, seed: number, stream: number) {
    this.#sampling = sampling;
    this.#random = randomStream(seed, stream);
  }

  /**
   * @param logits f32 [V], all of them finite; changed where there is a repetition penalty
   * @param seen tokens of the prompt and of the text so far
   */
  choose(logits: Float32Array, seen: ReadonlySet<number>): number {
    const { temperature, repetitionPenalty } = this.#sampling;
    if (repetitionPenalty !== 1) penalise(logits, seen, repetitionPenalty);
    if (temperature === 0) return likeliest(logits);
    const u = this.#random(this.#drawn++) / 2 ** 32;
    return draw(candidatesOf(logits, this.#sampling), u);
  }
}

/** The token with the largest logit; of equal ones that with the lowest id. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** Of f32: what a penalty makes larger would have no ratio to anything. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

function penalise(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  for (const id of seen) {
    const logit = logits[id];
    if (logit === undefined) continue;
    const penalised = logit > 0 ? logit / penalty : logit * penalty;
    logits[id] = Math.max(-LARGEST, Math.min(LARGEST, penalised));
  }
}

/** What may be drawn, in the order of ids: temperature first, then top-k, top-p and min-p, each of what the one before left. */
export function candidatesOf(
  logits: Float32Array,
  { temperature, topK, topP, minP }: Omit<Sampling, 'repetitionPenalty'>,
): Candidate[] {
  const top = logits[likeliest(logits)]!;
  const least = topK > 0 && topK < logits.length ? kthLargest(logits, topK) : Number.NEGATIVE_INFINITY;
  let candidates: Candidate[] = [];
  for (const [id, logit] of logits.entries()) {
    if (logit >= least) candidates.push({ id, score: (logit - top) / temperature });
  }
  if (topP < 1) candidates = nucleus(candidates, topP);
  if (minP === 0) return candidates;
  const floor = Math.log(minP);
  return candidates.filter(({ score }) => score >= floor);
}

/** The k-th largest of some numbers by Hoare's quickselect (1961), which looks at each a few times, however large k is. */
function kthLargest(numbers: Float32Array, k: number): number {
  const partly = numbers.slice();
  const place = partly.length - k;
  let [from, to] = [0, partly.length - 1];
  while (from < to) {
    const pivot = partly[(from + to) >> 1]!;
    let [low, high] = [from, to];
    while (low <= high) {
      while (partly[low]! < pivot) low++;
      while (partly[high]! > pivot) high--;
      if (low > high) break;
      [partly[low], partly[high]] = [partly[high]!, partly[low]!];
      low++;
      high--;
    }
    if (place <= high) to = high;
    else if (place >= low) from = low;
    else break;
  }
  return partly[place]!;
}

/** Leaves out the least likely, as many as have at most 1 - topP together; the likeliest stays. */
function nucleus(candidates: readonly Candidate[], topP: number): Candidate[] {
  const weights = candidates.map(({ score }) => Math.exp(score));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const most = (1 - topP) * total;
  // So many as small as this are at most `most` together: they need not be sorted.
  const negligible = most / candidates.length;
  const order = [...candidates.keys()].filter((i) => weights[i]! > negligible);
  order.sort((a, b) => weights[a]! - weights[b]!);
  let left = weights.reduce((sum, weight) => (weight > negligible ? sum : sum + weight), 0);
  const kept = order.filter((i, place) => {
    left += weights[i]!;
    return left > most || place === order.length - 1;
  });
  return kept.sort((a, b) => a - b).map((i) => candidates[i]!);
}

/** @param u uniform in [0, 1) */
function draw(candidates: readonly Candidate[], u: number): number {
  const weights = candidates.map(({ score }) => Math.exp(score));
  let left = u * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return candidates[i]!.id;
  }
  return candidates.at(-1)!.id;
}
