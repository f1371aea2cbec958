import type { EncodePrompt } from '../../data/encoding.js';
import type { QmsumOptions } from '../../options/qmsum.js';
import type { TaskName } from '../../options/tasks.js';
import type { ChoiceItem, Item, Metrics, Part, WrittenItem } from './item.js';
import type { TaskData } from './taskData.js';

/** How a query about a meeting is asked: what --qmsum and the chat template say. */
export interface MeetingSetting {
  readonly qmsum: QmsumOptions | undefined;
  readonly encodePrompt: EncodePrompt;
  readonly decode: (ids: Uint32Array) => string;
}

/** What is scored: a benchmark, or `generate`, held-out examples of a run. */
export type ScoredName = TaskName | 'generate';

/** How what a model makes of an item's choices is scored. */
export interface ChoiceScoring {
  readonly kind: 'choice';
  readonly name: ScoredName;
  /** @param ll log-likelihoods of the choices, in nats */
  measure(item: ChoiceItem, ll: readonly number[]): Metrics;
  /** Results of several parts together, by name: which parts each is made of. */
  readonly groups?: (parts: readonly string[]) => ReadonlyMap<string, readonly string[]>;
}

/** How what a model has written is scored. */
export interface WrittenScoring {
  readonly kind: 'written';
  readonly name: ScoredName;
  measure(item: WrittenItem, text: string): Metrics;
}

export type Scoring = ChoiceScoring | WrittenScoring;

interface TaskOf<I extends Item> {
  readonly name: TaskName;
  /** Examples shown to each item, where nobody asks for another number. */
  readonly shots: number;
  /** The examples are a part of the task: their number cannot be changed. */
  readonly isFixed?: true;
  /** The metric that stands for the task in the mean of the leaderboard; absent where it has no part in it. */
  readonly headline?: string;
  /** @throws InputError when the data is not there, or not what it should be; RunError when the Hub fails */
  read(data: TaskData, meetings: MeetingSetting): Promise<readonly Part<I>[]>;
}

/** A task whose choices are compared. */
export interface ChoiceTask extends TaskOf<ChoiceItem>, ChoiceScoring {
  readonly name: TaskName;
}

/** A task whose answers are written. */
export interface WrittenTask extends TaskOf<WrittenItem>, WrittenScoring {
  readonly name: TaskName;
  /** The most tokens of an answer, where nobody asks for another number. */
  readonly maxTokens: number;
  /** Texts that end an answer, beside the model's end of text. */
  readonly stop: readonly string[];
}

export type Task = ChoiceTask | WrittenTask;
