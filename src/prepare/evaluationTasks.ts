import { InputError } from '../base/errors.js';
import type { Bos } from '../data/encoding.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { taskEncoder } from '../evaluation/tasks/encodePair.js';
import { planTask, type TaskPlan, type TaskRequest } from '../evaluation/tasks/planTask.js';
import { TASKS } from '../evaluation/tasks/registry.js';
import { taskData } from '../evaluation/tasks/taskData.js';
import type { DatasetOptions } from '../hub/dataset.js';
import { readModelConfig } from '../model/config.js';
import type { TaskName } from '../options/tasks.js';

export interface TaskOptions extends Omit<TaskRequest, 'positions'> {
  readonly tasks: readonly TaskName[];
  readonly taskData: string | undefined;
  readonly bos: Bos;
}

/**
 * Reads the items of tasks and encodes all that a model will be asked, before it is loaded: plans in the order in which the
 * tasks were named.
 * @param folder of the model
 * @param onTask told of each task before its data is read
 * @throws InputError when data is missing or wrong, or does not fit the model; RunError when the Hub fails
 */
export async function prepareTasks(
  folder: string,
  options: TaskOptions,
  { hub, onTask }: { readonly hub?: DatasetOptions; readonly onTask?: (task: TaskName) => void } = {},
): Promise<TaskPlan[]> {
  const { maxPositions: positions, slidingWindow } = readModelConfig(folder);
  const data = taskData(options.taskData, hub);
  const encoder = taskEncoder(await sharedTokenizer(folder), options.bos);
  const plans: TaskPlan[] = [];
  for (const name of options.tasks) {
    onTask?.(name);
    const task = TASKS[name];
    const plan = planTask(task, await task.read(data), encoder, { ...options, positions });
    if (slidingWindow !== undefined && plan.longest > slidingWindow) {
      throw new InputError(
        `${name}: expected prompts of at most ${slidingWindow} tokens, the attention window of ${folder}, ` +
          `found ${plan.longest}; lower --shots`,
      );
    }
    plans.push(plan);
  }
  return plans;
}
