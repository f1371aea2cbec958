import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputError, RunError } from '../base/errors.js';
import { isChoicePlan, type TaskPlan } from '../evaluation/tasks/planTask.js';
import { type Answering, samplesOf, type TaskSample } from '../evaluation/tasks/runTask.js';
import { Scores } from '../evaluation/tasks/scores.js';
import { publishStream } from '../formats/checkpointFiles.js';
import { systemCode } from '../formats/json.js';
import type { Model } from '../inference/model.js';
import { cachedGenerator, cachedScorer } from './cachedAnswers.js';
import type { TaskEvaluation, TaskProgress } from './taskEvaluation.js';

export interface TaskHooks {
  readonly onTask?: ((progress: TaskProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Room in a model's cache: prompts at once, and the tokens of one with what follows. */
export interface Room {
  readonly batch: number;
  readonly context: number;
}

/** Loads the model that is scored, with that much room. */
export type OpenModel = (room: Room) => Promise<Model>;

/** Answers that are written at once: a pass over the weights costs the same for one. */
const WRITTEN_AT_ONCE = 8;

/**
 * Scores a model on tasks; items that are done go to the file of samples, which appears once all are.
 * @throws RunError when it is stopped, the model fails, or the samples can't be written: there is no file of them then
 */
export async function scoreTasks(
  open: OpenModel,
  plans: readonly TaskPlan[],
  samplesFile: string | undefined,
  { signal, onTask }: TaskHooks,
): Promise<TaskEvaluation> {
  const opened = new OpenedModel(open, plans);
  let [seconds, forwarded] = [0, 0];
  const scores = new Scores(plans);
  async function* samples(): AsyncGenerator<TaskSample> {
    for (const [i, plan] of plans.entries()) {
      const totalItems = plan.parts.reduce((sum, part) => sum + part.items.length, 0);
      const model = await opened.for(plan);
      const [before, start] = [{ seconds, forwarded }, performance.now()];
      const answering = { scorer: cachedScorer(model, signal), generator: cachedGenerator(model, signal) };
      let items = 0;
      for await (const sample of samplesOf(plan, answering)) {
        scores.add(i, sample);
        yield sample;
        seconds = before.seconds + (performance.now() - start) / 1000;
        forwarded = before.forwarded + tokensOf(answering);
        onTask?.({ task: plan.task.name, items: ++items, totalItems, tokens: forwarded, seconds });
      }
    }
  }
  try {
    if (samplesFile === undefined) for await (const _ of samples());
    else await writeSamples(samplesFile, samples());
  } finally {
    await opened.close();
  }
  return { ...scores.results(), forwarded, seconds };
}

const tokensOf = ({ scorer, generator }: Answering): number => scorer.forwarded + generator.forwarded;

/** The model that plans are scored with: one after another of the same kind by the same. */
class OpenedModel {
  readonly #open: OpenModel;
  readonly #plans: readonly TaskPlan[];
  #model: Model | undefined;
  #isForChoices = false;

  constructor(open: OpenModel, plans: readonly TaskPlan[]) {
    this.#open = open;
    this.#plans = plans;
  }

  async for(plan: TaskPlan): Promise<Model> {
    const isForChoices = isChoicePlan(plan);
    if (this.#model && this.#isForChoices === isForChoices) return this.#model;
    await this.close();
    const alike = this.#plans.filter((other) => isChoicePlan(other) === isForChoices);
    const context = Math.max(...alike.map(({ longest }) => longest));
    this.#model = await this.#open({ context, batch: isForChoices ? 1 : WRITTEN_AT_ONCE });
    this.#isForChoices = isForChoices;
    return this.#model;
  }

  async close(): Promise<void> {
    await this.#model?.close();
    this.#model = undefined;
  }
}

/** @throws InputError when samples can't go to this path: asked before anything is computed */
export function checkSamplesFile(path: string): void {
  const parent = dirname(resolve(path));
  const [there, around] = [path, parent].map((name) => statusOf(name, path));
  if (there?.isDirectory()) throw refused(path, 'a folder', 'name a file in it');
  // It would be replaced by a file.
  if (there && !there.isFile()) throw refused(path, 'a device', 'name another');
  if (!around?.isDirectory()) throw refused(path, `no folder ${parent}`, 'make it first');
  try {
    accessSync(parent, constants.W_OK);
  } catch (error) {
    throw refused(path, systemCode(error), 'check the permissions of its folder');
  }
}

/** @throws InputError for a name that no file can have, or links that go round in circles */
function statusOf(name: string, path: string): Stats | undefined {
  try {
    return statSync(name, { throwIfNoEntry: false });
  } catch (error) {
    throw refused(path, systemCode(error), 'name another');
  }
}

const refused = (path: string, found: string, advice: string): InputError =>
  new InputError(`--samples ${path}: expected a file to write, found ${found}; ${advice}`);

/** A line of JSON a sample. */
async function writeSamples(path: string, samples: AsyncIterable<TaskSample>): Promise<void> {
  async function* lines() {
    for await (const sample of samples) yield Buffer.from(`${JSON.stringify(sample)}\n`);
  }
  await publishStream(path, lines()).catch((error: NodeJS.ErrnoException) => {
    if (error.code === undefined || error.syscall === undefined) throw error;
    throw new RunError(`--samples ${path}: expected to write to it, found ${error.code}; is the disk full?`, {
      cause: error,
    });
  });
}
