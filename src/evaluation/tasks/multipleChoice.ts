import type { ChoiceItem, Metrics } from './item.js';
import { codePoints } from './pythonText.js';

/** What the log-likelihoods of an item's choices, in nats, come to. */

/** acc: 1 where the right choice is the likeliest, of equally likely ones the first. */
export const accuracy = ({ right }: ChoiceItem, ll: readonly number[]): Metrics => ({
  acc: isRight(right, ll),
});

/** acc, and acc_norm: the same of the log-likelihood by character of the choice, without the space before it. */
export const normedAccuracy = ({ right, choices }: ChoiceItem, ll: readonly number[]): Metrics => ({
  acc: isRight(right, ll),
  acc_norm: isRight(
    right,
    ll.map((value, i) => value / codePoints(choices[i]!)),
  ),
});

/**
 * acc, which of this task is known as mc2: the share of right choices in the probability of all. It is NaN where all
 * are below the smallest number there is, about exp(-745).
 */
export function rightProbability({ right }: ChoiceItem, ll: readonly number[]): Metrics {
  const probabilities = ll.map(Math.exp);
  const all = sum(probabilities);
  return { acc: sum(right.map((i) => probabilities[i]! / all)) };
}

const isRight = (right: readonly number[], values: readonly number[]): number =>
  right.includes(values.indexOf(Math.max(...values))) ? 1 : 0;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
