import { InputError } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { SCORING } from '../evaluation/perplexity.js';
import type { MeanLoss } from '../evaluation/scoring.js';
import { resolveModel } from '../hub/resolveModel.js';
import { loadModel, type Model } from '../inference/model.js';
import type { ModelOptions } from '../inference/options.js';
import {
  EVALUATE_OPTIONS,
  type EvaluateGiven,
  type EvaluateInput,
  type EvaluateTasksInput,
} from '../options/evaluate.js';
import { checkedOptions, type Resolved } from '../options/table.js';
import { prepareTasks } from '../prepare/evaluationTasks.js';
import { type FoundText, findEvaluationText } from '../prepare/evaluationText.js';
import { idleEvaluateProblems } from '../prepare/idleEvaluateOptions.js';
import { checkSamplesFile, type OpenModel, scoreTasks } from './scoreTasks.js';
import type { TaskEvaluation, TaskProgress } from './taskEvaluation.js';

/** What a model makes of a text. */
export interface Evaluation extends MeanLoss {
  readonly perplexity: number;
  /** Documents that were scored, and those that could not be read. */
  readonly documents: number;
  readonly skipped: number;
  /** Wall time of scoring, without loading. */
  readonly seconds: number;
}

/** How far scoring of text is. */
export interface EvaluateProgress {
  readonly documents: number;
  /** Predicted ones. */
  readonly tokens: number;
  readonly seconds: number;
}

export interface EvaluateHooks {
  /** Told how far the download of a model by Hub name is. */
  readonly onDownload?: ModelOptions['onDownload'];
  /** Told how far the model is until it is ready. */
  readonly onStarting?: ModelOptions['onStarting'];
  readonly onProgress?: ((progress: EvaluateProgress) => void) | undefined;
  /** Told of each item of a task, once it is scored. */
  readonly onTask?: ((progress: TaskProgress) => void) | undefined;
  /** Ends the work with a RunError, at once. */
  readonly signal?: AbortSignal | undefined;
}

type Options = Resolved<typeof EVALUATE_OPTIONS>;
type Result = Partial<Evaluation & TaskEvaluation> & { readonly seconds: number };

/**
 * Perplexity of a model on text, which is read as `train` reads it, its results in benchmarks, or both: the library form of
 * `node dist/evaluate.js`. Each document is cut into windows of its own; of conversations and completions what is learned is
 * scored. Of both, `seconds` are those of both together.
 * @throws InputError for wrong options, models, texts or data of tasks; RunError when it is stopped. Nothing is written then
 */
export function evaluate(
  input: EvaluateInput & EvaluateTasksInput,
  hooks?: EvaluateHooks,
): Promise<Evaluation & TaskEvaluation>;
export function evaluate(input: EvaluateTasksInput, hooks?: EvaluateHooks): Promise<TaskEvaluation>;
export function evaluate(input: EvaluateInput, hooks?: EvaluateHooks): Promise<Evaluation>;
export function evaluate(input: EvaluateGiven, hooks?: EvaluateHooks): Promise<Result>;
export async function evaluate(input: EvaluateGiven, hooks: EvaluateHooks = {}): Promise<Result> {
  const options = checkedOptions(EVALUATE_OPTIONS, input);
  checkAsked(input, options);
  return untilStopped(() => evaluated(options, { ...hooks }), hooks.signal, SCORING);
}

/** @throws InputError when there is nothing to do, or an option has nothing to say */
function checkAsked(given: EvaluateGiven, options: Options): void {
  if (options.perplexity === undefined && options.tasks === undefined) {
    throw new InputError(
      '--perplexity: expected PATH, found nothing; give text to score, or --tasks to score the model on',
    );
  }
  const idle = idleEvaluateProblems({ ...given }, options);
  if (idle.length > 0) throw new InputError(idle.join('; '));
}

async function evaluated(options: Options, hooks: EvaluateHooks): Promise<Result> {
  const { perplexity, tasks, samples } = options;
  const text = perplexity === undefined ? undefined : await findEvaluationText({ ...options, perplexity });
  if (samples !== undefined) checkSamplesFile(samples);
  const { onDownload, signal } = hooks;
  const { folder } = await resolveModel(options.model, { onProgress: onDownload, signal });
  const plans = tasks && (await prepareTasks(folder, { ...options, tasks, signal }));
  const found = { ...options, folder };
  const ofText = text && (await scoreText(found, text, hooks));
  const open: OpenModel = (room) => openModel(found, { sequence: 1, ...room }, hooks);
  const ofTasks = plans && (await scoreTasks(open, plans, samples, hooks));
  return { ...ofText, ...ofTasks, seconds: (ofText?.seconds ?? 0) + (ofTasks?.seconds ?? 0) };
}

type Found = Options & { readonly folder: string };

function openModel(
  { device, kernels, tune, threads, adapter, folder }: Found,
  shape: Pick<ModelOptions, 'sequence' | 'context' | 'batch'>,
  { onDownload, onStarting, signal }: EvaluateHooks,
): Promise<Model> {
  const hooks = { onDownload, onStarting, signal };
  return loadModel(folder, { device, kernels, tune, threads, adapter, ...shape, ...hooks });
}

async function scoreText(options: Found, text: FoundText, hooks: EvaluateHooks): Promise<Evaluation> {
  const model = await openModel(options, { sequence: options.sequence }, hooks);
  try {
    return await scored(model, text, options, hooks);
  } finally {
    await model.close();
  }
}

async function scored(
  model: Model,
  text: FoundText,
  options: Found,
  { signal, onProgress }: EvaluateHooks,
): Promise<Evaluation> {
  const source = { tokenizer: model.tokenizer, folder: options.folder, name: options.model };
  let [documents, skipped] = [0, 0];
  const onDocument = (isLeftOut: boolean) => {
    if (isLeftOut) skipped++;
    else documents++;
  };
  const rows = await text.rows(source, { sequence: options.sequence, onDocument });
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const onScored = (tokens: number) => onProgress?.({ documents, tokens, seconds: elapsed() });
  const { nll, tokens } = await model.score(rows, { signal, onScored });
  return { tokens, nll, perplexity: Math.exp(nll), documents, skipped, seconds: elapsed() };
}
