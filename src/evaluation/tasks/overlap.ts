import { ROUGE_TYPES, rouge } from '../rouge.js';
import type { Metrics } from './item.js';

/** F1 of each kind of overlap of words, without stems. */
export function overlap(text: string, target: string): Metrics {
  const scores = rouge(target, text);
  return Object.fromEntries(ROUGE_TYPES.map((type) => [type, scores[type].f1]));
}
