import { InputError } from '../base/errors.js';
import { chooseExamples, chosenExamples } from '../data/chooseExamples.js';
import { BadDocument, type DocumentSource } from '../data/documents.js';
import { createEncode, type EncodingOptions, encodedOrBad } from '../data/encoding.js';
import { holdOut } from '../data/holdOut.js';
import { mapDocuments } from '../data/mapDocuments.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { answerOf, type HeldOutAnswer, planHeldOut } from '../evaluation/tasks/heldOutAnswers.js';
import { metricsOf } from '../evaluation/tasks/planMetrics.js';
import { isChoicePlan, type TaskPlan, type WrittenPlan } from '../evaluation/tasks/planTask.js';
import type { CacheShape } from '../model/cachePrograms.js';
import type { EvaluationCaches } from '../model/programs.js';
import type { ModelFiles } from '../model/weights.js';
import { parseEarlyStop } from '../options/evaluations.js';
import { flagOf } from '../options/table.js';
import { TASK_NAMES } from '../options/tasks.js';
import type { TrainOptions } from '../options/train.js';
import type { ProgressRecord } from '../records.js';
import { hasHeldOutText } from './evaluates.js';
import { prepareTasks, tellCuts } from './evaluationTasks.js';

/** What evaluations of a run ask the student, beside the loss. */
export interface EvaluationPlans {
  readonly plans: readonly TaskPlan[];
  /** Room for it in the student's module. */
  readonly caches: EvaluationCaches<CacheShape> | undefined;
}

/** What a run evaluates with. */
export interface EvaluationSetting {
  readonly student: ModelFiles;
  readonly tokenizer: Tokenizer;
  readonly encoding: EncodingOptions;
  /** All text of --data, and that of --eval-data. */
  readonly documents: DocumentSource;
  readonly evaluation: DocumentSource | undefined;
}

/** Answers that are written at once: a pass over the weights costs the same for one. */
const WRITTEN_AT_ONCE = 8;
/** New tokens of an answer, where nobody asks for another number. */
const MOST_TOKENS = 256;

/**
 * Reads and encodes all that evaluations will ask, before anything is written, and checks the metrics that the run depends
 * on.
 * @throws InputError when tasks or examples are not there or do not fit the model, or nothing measures a metric
 */
export async function planEvaluations(
  options: TrainOptions,
  setting: EvaluationSetting,
  emit: (record: ProgressRecord) => void,
): Promise<EvaluationPlans> {
  const { evalTasks, evalGenerate } = options;
  if (evalTasks || evalGenerate) emit({ type: 'progress', doing: 'reading tasks' });
  const tasks = evalTasks ? await tasksOf(options, evalTasks, setting) : [];
  const answers = evalGenerate ? [await heldOutPlan(options, evalGenerate, setting)] : [];
  const plans = [...tasks, ...answers];
  checkMetrics(options, [...(hasHeldOutText(options) ? ['nll'] : []), ...plans.flatMap(metricsOf)]);
  return { plans, caches: plans.length > 0 ? cachesFor(plans) : undefined };
}

function tasksOf(
  { shots, limit, maxTokens, taskData, qmsum, chatTemplate }: TrainOptions,
  tasks: NonNullable<TrainOptions['evalTasks']>,
  { student, encoding }: EvaluationSetting,
): Promise<TaskPlan[]> {
  const { bos = 'auto' } = encoding;
  const request = { tasks, shots, limit, maxTokens, taskData, bos, qmsum, chatTemplate };
  return prepareTasks(student.folder, request, { config: student.config });
}

/** The first examples of a shuffle of those that are held out and have an answer, in the order of the text. */
async function heldOutPlan(
  { seed, maxTokens = MOST_TOKENS, onBadDocument, evalFraction }: TrainOptions,
  count: number,
  { student, tokenizer, encoding, documents, evaluation }: EvaluationSetting,
): Promise<WrittenPlan> {
  const heldOut = evaluation ?? (await holdOut(documents, evalFraction)).evaluation;
  // What is learned says what the answer is, whatever the loss is of.
  const encode = createEncode(tokenizer, { ...encoding, lossOn: 'assistant' });
  const answersOf = (document: Parameters<typeof encodedOrBad>[1]): HeldOutAnswer | undefined => {
    const encoded = encodedOrBad(encode, document);
    if (!(encoded instanceof BadDocument)) return answerOf(encoded, tokenizer);
    if (onBadDocument === 'stop') throw encoded;
    return undefined;
  };
  const answered = mapDocuments(heldOut, (document) => (answersOf(document) ? document.example : undefined));
  const choice = await chooseExamples(answered, count, seed, { tooFew: tooFewHeldOut });
  const answers: HeldOutAnswer[] = [];
  for await (const item of chosenExamples(answered, choice).read()) {
    if (!(item instanceof BadDocument)) answers.push(answersOf(item)!);
  }
  const { maxPositions, slidingWindow = maxPositions } = student.config;
  const positions = Math.min(maxPositions, slidingWindow);
  const plan = planHeldOut(answers, tokenizer, { positions, maxTokens });
  tellCuts(plan, positions);
  return plan;
}

const tooFewHeldOut = (found: number, wanted: number): string =>
  found === 0
    ? '--eval-generate: expected held-out prompts with completions, conversations or queries, found text alone, or nothing; ' +
      'leave it out, or give --eval-data with such'
    : `--eval-generate: expected at most ${found}, which is all that is held out and has an answer, found ${wanted}; lower it, ` +
      'or hold out more';

/** One prompt at a time where choices are compared: what it shares with the one before is not read again. */
function cachesFor(plans: readonly TaskPlan[]): EvaluationCaches<CacheShape> {
  const longest = (some: readonly TaskPlan[]) => Math.max(...some.map((plan) => plan.longest));
  const choices = plans.filter(isChoicePlan);
  const written = plans.filter((plan) => !isChoicePlan(plan));
  const items = written.map(({ parts }) => parts.reduce((sum, part) => sum + part.items.length, 0));
  const rows = Math.min(WRITTEN_AT_ONCE, Math.max(...items));
  return {
    ...(choices.length > 0 && { choices: { rows: 1, capacity: longest(choices) } }),
    ...(written.length > 0 && { written: { rows, capacity: longest(written) } }),
  };
}

/** @param measured names of all metrics that evaluations give */
function checkMetrics({ keepBest, earlyStop, ...options }: TrainOptions, measured: readonly string[]): void {
  const wanted = {
    keepBest,
    earlyStop: earlyStop === undefined ? undefined : parseEarlyStop(earlyStop).metric,
  };
  for (const [name, metric] of Object.entries(wanted)) {
    if (metric === undefined || measured.includes(metric)) continue;
    throw new InputError(
      `${flagOf(name)}: expected a metric that evaluations give (${listed(measured)}), found ${metric}; ${adviceFor(metric, options)}`,
    );
  }
}

/** Subjects of mmlu are many. */
const MOST_LISTED = 12;

const listed = (names: readonly string[]): string => {
  const more = names.length - MOST_LISTED;
  return names.slice(0, MOST_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
};

function adviceFor(metric: string, { evalTasks = [], evalGenerate }: Partial<TrainOptions>): string {
  const [owner] = metric.split('/');
  const task = TASK_NAMES.find((name) => name === owner);
  if (task && !evalTasks.includes(task)) return `add --eval-tasks ${task}, or choose another`;
  if (owner === 'generate' && evalGenerate === undefined) return 'add --eval-generate N, or choose another';
  if (owner === 'nll') return 'hold out text with --eval-data or --eval-fraction, or choose another';
  return 'choose one of them';
}
