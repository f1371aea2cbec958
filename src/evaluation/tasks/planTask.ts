import { setImmediate as nextTurn } from 'node:timers/promises';
import { InputError } from '../../base/errors.js';
import { throwIfStopped } from '../../base/stopping.js';
import { cutToScore, cutToWrite } from './contextCut.js';
import type { EncodedPair, TaskEncoder } from './encodePair.js';
import { drawExamples } from './fewShot.js';
import type { ChoiceItem, Item, Part, WrittenItem } from './item.js';
import type { ScoredGroup } from './scorer.js';
import type { ChoiceScoring, Task, WrittenScoring } from './task.js';

/** What is asked of a model, and how long what it reads may be. */
export interface TaskRequest {
  /** Examples shown to each item; undefined: as many as is usual for the task. */
  readonly shots: number | undefined;
  /** The first items of each part alone: so many, or below 1 that share of them, rounded up. */
  readonly limit: number | undefined;
  /** The most tokens of a written answer; undefined: as the task has it. */
  readonly maxTokens: number | undefined;
  /** Of the model. */
  readonly positions: number;
  readonly signal?: AbortSignal | undefined;
}

/** An item, and what its model will read. */
interface PlannedItem<I extends Item> {
  readonly item: I;
  /** Places of its examples in the pool. */
  readonly shown: readonly number[];
  /** Whether the model has no room for its beginning. */
  readonly isCut: boolean;
}

export interface PlannedChoice extends PlannedItem<ChoiceItem> {
  /** Requests with the same context, once it is cut, are one group. */
  readonly groups: readonly ScoredGroup[];
  /** Of each request of the item, its group and its place in it. */
  readonly requests: readonly (readonly [group: number, place: number])[];
}

export interface PlannedAnswer extends PlannedItem<WrittenItem> {
  readonly prompt: Uint32Array;
}

export interface PlannedPart<I extends Item, P extends PlannedItem<I>> {
  readonly part: Part<I>;
  readonly items: readonly P[];
}

interface Plan {
  readonly shots: number;
  /** Slots of the longest text that the model will read. */
  readonly longest: number;
  /** Items that are cut. */
  readonly cut: number;
}

export interface ChoicePlan extends Plan {
  readonly task: ChoiceScoring;
  readonly parts: readonly PlannedPart<ChoiceItem, PlannedChoice>[];
}

export interface WrittenPlan extends Plan {
  readonly task: WrittenScoring;
  readonly maxTokens: number;
  /** Texts that end an answer, that of the tokenizer's EOS among them. */
  readonly stop: readonly string[];
  readonly parts: readonly PlannedPart<WrittenItem, PlannedAnswer>[];
}

export type TaskPlan = ChoicePlan | WrittenPlan;

/** Whether a plan is one of choices. */
export const isChoicePlan = (plan: TaskPlan): plan is ChoicePlan => plan.task.kind === 'choice';

/**
 * Encodes every item of a task with its examples, before a model is loaded.
 * @param parts what `task.read` gave
 * @throws InputError naming the item, when it can't be shown to the model; RunError when the signal says stop
 */
export async function planTask(
  task: Task,
  parts: readonly Part[],
  encoder: TaskEncoder,
  request: TaskRequest,
): Promise<TaskPlan> {
  const shots = task.isFixed ? task.shots : (request.shots ?? task.shots);
  if (task.kind === 'choice') {
    const planned: PlannedPart<ChoiceItem, PlannedChoice>[] = [];
    for (const part of parts as readonly Part<ChoiceItem>[]) {
      const plan = (item: ChoiceItem, shown: readonly number[]) =>
        planChoice(item, shown, part, encoder, request.positions);
      planned.push(await planPart(part, shots, request, plan));
    }
    return {
      ...{ task, shots, parts: planned },
      longest: longestOf(planned, longestRequest),
      cut: cutAmong(planned),
    };
  }
  const maxTokens = request.maxTokens ?? task.maxTokens;
  const planned: PlannedPart<WrittenItem, PlannedAnswer>[] = [];
  for (const part of parts as readonly Part<WrittenItem>[]) {
    const plan = (item: WrittenItem, shown: readonly number[]): PlannedAnswer => {
      const ids = item.prompt ?? encoder.encode(promptOf(part, shown) + item.context);
      const prompt = cutToWrite(ids, request.positions, maxTokens);
      return { item, shown, isCut: prompt.length < ids.length, prompt };
    };
    planned.push(await planPart(part, shots, request, plan));
  }
  return {
    task,
    shots,
    maxTokens,
    stop: [...new Set([...task.stop, ...encoder.endOfText])],
    parts: planned,
    longest: longestOf(planned, ({ prompt }) => prompt.length + maxTokens - 1),
    cut: cutAmong(planned),
  };
}

async function planPart<I extends Item, P extends PlannedItem<I>>(
  part: Part<I>,
  shots: number,
  { limit, signal }: TaskRequest,
  plan: (item: I, shown: readonly number[]) => P,
): Promise<PlannedPart<I, P>> {
  const examples = drawExamples(part, shots, countOf(part.items.length, limit));
  const items: P[] = [];
  for (const [i, shown] of examples.entries()) {
    // A whole task takes many seconds, and a signal arrives between turns alone.
    await nextTurn();
    throwIfStopped(signal, 'read all items of the tasks');
    try {
      items.push(plan(part.items[i]!, shown));
    } catch (error) {
      throw error instanceof InputError && !error.message.startsWith('--')
        ? new InputError(`${part.name}, item ${i}: ${error.message}`)
        : error;
    }
  }
  return { part, items };
}

/** How many of n items are looked at. */
function countOf(n: number, limit: number | undefined): number {
  if (limit === undefined) return n;
  return Math.min(n, limit < 1 ? Math.ceil(n * limit) : limit);
}

/** What stands before an item: the part's preamble, and its examples, each with an empty line behind it. */
export const promptOf = <I extends Item>({ preamble, pool }: Part<I>, shown: readonly number[]): string =>
  preamble + shown.map((place) => `${pool[place]!.example}\n\n`).join('');

/** Of each request of an item its two texts, context and continuation. */
export function argumentsOf(
  part: Part<ChoiceItem>,
  { item: { contexts, choices }, shown }: Pick<PlannedItem<ChoiceItem>, 'item' | 'shown'>,
): [context: string, continuation: string][] {
  const prompt = promptOf(part, shown);
  const count = Math.max(contexts.length, choices.length);
  const at = (texts: readonly string[], i: number) => texts[texts.length === 1 ? 0 : i]!;
  return Array.from({ length: count }, (_, i) => [prompt + at(contexts, i), ` ${at(choices, i)}`]);
}

function planChoice(
  item: ChoiceItem,
  shown: readonly number[],
  part: Part<ChoiceItem>,
  encoder: TaskEncoder,
  positions: number,
): PlannedChoice {
  const whole = argumentsOf(part, { item, shown }).map(([context, continuation]) =>
    encoder.pair(context, continuation),
  );
  const pairs = whole.map((pair) => cutToScore(pair, positions));
  const isCut = pairs.some(({ context }, i) => context.length < whole[i]!.context.length);
  return { item, shown, isCut, ...grouped(pairs) };
}

const cutAmong = <I extends Item>(parts: readonly PlannedPart<I, PlannedItem<I>>[]): number =>
  parts.reduce((sum, { items }) => sum + items.filter(({ isCut }) => isCut).length, 0);

/** Contexts of choices that are cut differ in where they begin. */
function grouped(pairs: readonly EncodedPair[]): Pick<PlannedChoice, 'groups' | 'requests'> {
  const groups: { context: Uint32Array; continuations: Uint32Array[] }[] = [];
  const requests = pairs.map(({ context, continuation }) => {
    const found = groups.findIndex((group) => isSame(group.context, context));
    const group = found < 0 ? groups.push({ context, continuations: [] }) - 1 : found;
    return [group, groups[group]!.continuations.push(continuation) - 1] as const;
  });
  return { groups, requests };
}

const isSame = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

/** Of both together the last id is only predicted. */
const longestRequest = ({ groups }: PlannedChoice): number =>
  Math.max(
    ...groups.flatMap(({ context, continuations }) =>
      continuations.map(({ length }) => context.length + length - 1),
    ),
  );

function longestOf<I extends Item, P extends PlannedItem<I>>(
  parts: readonly PlannedPart<I, P>[],
  lengthOf: (item: P) => number,
): number {
  let longest = 0;
  for (const { items } of parts) for (const item of items) longest = Math.max(longest, lengthOf(item));
  return longest;
}
