import { type Aggregate, aggregate, pooled } from './aggregate.js';
import type { Metrics } from './item.js';
import {
  argumentsOf,
  type ChoicePlan,
  isChoicePlan,
  promptOf,
  type TaskPlan,
  type WrittenPlan,
} from './planTask.js';
import type { Generator, Scorer } from './scorer.js';
import type { Scoring } from './task.js';

/** Items that a model is given at a time: what it can share between them it finds among these. */
const SCORED_TOGETHER = 64;
const WRITTEN_TOGETHER = 16;

/** An item's line in the file of samples. */
export interface TaskSample {
  /** The task, or the subject of it. */
  readonly task: string;
  /** Examples that were shown. */
  readonly shots: number;
  /** The item's place in its file, from 0. */
  readonly doc_id: number;
  /** Of each request context and continuation; where an answer is written, the prompt alone. */
  readonly arguments: readonly (readonly string[])[];
  /** Log-likelihood of each continuation, in nats; and 1 where greedy decoding gives it, else 0. */
  readonly ll?: readonly number[];
  readonly greedy?: readonly number[];
  /** What was written: the new ids, and their text up to where it was to stop. */
  readonly ids?: readonly number[];
  readonly text?: string;
  readonly metrics: Metrics;
}

/** What a model answers with. */
export interface Answering {
  readonly scorer: Scorer;
  readonly generator: Generator;
}

/**
 * Scores the items of a task, in their order.
 * @throws RunError when it is told to stop, or the model fails
 */
export function samplesOf(plan: TaskPlan, { scorer, generator }: Answering): AsyncGenerator<TaskSample> {
  return isChoicePlan(plan) ? choiceSamples(plan, scorer) : writtenSamples(plan, generator);
}

/** The same of a task whose choices are compared. */
export async function* choiceSamples(
  { task, shots, parts }: ChoicePlan,
  scorer: Scorer,
): AsyncGenerator<TaskSample> {
  for (const { part, items } of parts) {
    for (const { first, together } of portions(items, SCORED_TOGETHER)) {
      const scores = await scorer.score(together.flatMap(({ groups }) => groups));
      let group = 0;
      for (const [i, planned] of together.entries()) {
        const own = planned.requests.map(([at, place]) => scores[group + at]![place]!);
        group += planned.groups.length;
        const ll = own.map(({ logLikelihood }) => logLikelihood);
        yield {
          task: part.name,
          shots,
          doc_id: first + i,
          arguments: argumentsOf(part, planned),
          ll,
          greedy: own.map(({ isGreedy }) => Number(isGreedy)),
          metrics: task.measure(planned.item, ll),
        };
      }
    }
  }
}

/** The same of a task whose answers are written. */
export async function* writtenSamples(
  { task, shots, parts, maxTokens, stop }: WrittenPlan,
  generator: Generator,
): AsyncGenerator<TaskSample> {
  for (const { part, items } of parts) {
    for (const { first, together } of portions(items, WRITTEN_TOGETHER)) {
      const prompts = together.map(({ prompt }) => prompt);
      const answers = await generator.complete(prompts, { maxTokens, stop });
      for (const [i, { item, shown }] of together.entries()) {
        const { text, ids } = answers[i]!;
        yield {
          task: part.name,
          shots,
          doc_id: first + i,
          arguments: [[promptOf(part, shown) + item.context]],
          ids: Array.from(ids),
          text,
          metrics: task.measure(item, text),
        };
      }
    }
  }
}

/**
 * A task in parts that a model is given one after the other, each a plan of its own: with the samples of these in their
 * order, whoever scored which, the task has the results that it has as a whole.
 */
export function portionsOf(plan: TaskPlan): TaskPlan[] {
  if (isChoicePlan(plan)) return cut(plan.parts, SCORED_TOGETHER).map((part) => ({ ...plan, parts: [part] }));
  return cut(plan.parts, WRITTEN_TOGETHER).map((part) => ({ ...plan, parts: [part] }));
}

const cut = <P extends { readonly items: readonly unknown[] }>(parts: readonly P[], size: number): P[] =>
  parts.flatMap((part) =>
    [...portions(part.items, size)].map(({ together }) => ({ ...part, items: together })),
  );

function* portions<T>(items: readonly T[], size: number) {
  for (let first = 0; first < items.length; first += size) {
    yield { first, together: items.slice(first, first + size) };
  }
}

/** By the name of a task, a group or a subject, then by metric. */
export type TaskResults = ReadonlyMap<string, ReadonlyMap<string, Aggregate>>;

/**
 * What the items of a task come to: its own results first, then those of its groups and subjects.
 * @param measured the results of items, by the name of their part
 */
export function resultsOf(task: Scoring, measured: ReadonlyMap<string, readonly Metrics[]>): TaskResults {
  const parts = new Map([...measured].map(([name, items]) => [name, aggregated(items)] as const));
  const groups = task.kind === 'choice' ? task.groups?.([...parts.keys()]) : undefined;
  if (!groups) return parts;
  const together = [...groups].map(
    ([name, members]) => [name, pooledResults(members.map((member) => parts.get(member)!))] as const,
  );
  return new Map([...together, ...parts]);
}

function aggregated(items: readonly Metrics[]): ReadonlyMap<string, Aggregate> {
  const names = Object.keys(items[0]!);
  return new Map(names.map((name) => [name, aggregate(items.map((metrics) => metrics[name]!))]));
}

function pooledResults(parts: readonly ReadonlyMap<string, Aggregate>[]): ReadonlyMap<string, Aggregate> {
  const names = [...parts[0]!.keys()];
  return new Map(names.map((name) => [name, pooled(parts.map((part) => part.get(name)!))]));
}
