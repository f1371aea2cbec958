import { InputError } from '../base/errors.js';
import { warnOnce } from '../base/warnings.js';
import { readChatTemplate } from '../data/chat/source.js';
import { type Bos, createEncodePrompt } from '../data/encoding.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { taskEncoder } from '../evaluation/tasks/encodePair.js';
import { isChoicePlan, planTask, type TaskPlan, type TaskRequest } from '../evaluation/tasks/planTask.js';
import { TASKS } from '../evaluation/tasks/registry.js';
import type { MeetingSetting } from '../evaluation/tasks/task.js';
import { taskData } from '../evaluation/tasks/taskData.js';
import type { DatasetOptions } from '../hub/dataset.js';
import { type ModelConfig, readModelConfig } from '../model/config.js';
import type { QmsumOptions } from '../options/qmsum.js';
import type { TaskName } from '../options/tasks.js';

export interface TaskOptions extends Omit<TaskRequest, 'positions'> {
  readonly tasks: readonly TaskName[];
  readonly taskData: string | undefined;
  readonly bos: Bos;
  /** Of qmsum: how a meeting is read, and a template for its queries. */
  readonly qmsum?: QmsumOptions | undefined;
  readonly chatTemplate?: string | undefined;
}

interface TaskSetting {
  readonly hub?: DatasetOptions;
  readonly config?: ModelConfig;
  readonly onTask?: (task: TaskName) => void;
}

/**
 * Reads the items of tasks and encodes all that a model will be asked, before it is loaded: plans in the order in which the
 * tasks were named.
 * @param folder of the model
 * @param config of the model (default: as in its folder)
 * @param onTask told of each task before its data is read
 * @throws InputError when data is missing or wrong, or does not fit the model; RunError when the Hub fails, or the
 * signal says stop
 */
export async function prepareTasks(
  folder: string,
  options: TaskOptions,
  { hub, onTask, config = readModelConfig(folder) }: TaskSetting = {},
): Promise<TaskPlan[]> {
  const { maxPositions: positions, slidingWindow } = config;
  const data = taskData(options.taskData, hub);
  const tokenizer = await sharedTokenizer(folder);
  const encoder = taskEncoder(tokenizer, options.bos);
  const meetings = meetingSetting(folder, tokenizer, options);
  const plans: TaskPlan[] = [];
  for (const name of options.tasks) {
    onTask?.(name);
    const task = TASKS[name];
    const plan = await planTask(task, await task.read(data, meetings), encoder, { ...options, positions });
    if (slidingWindow !== undefined && plan.longest > slidingWindow) {
      throw new InputError(
        `${name}: expected prompts of at most ${slidingWindow} tokens, the attention window of ${folder}, ` +
          `found ${plan.longest}; lower --shots`,
      );
    }
    tellCuts(plan, positions);
    plans.push(plan);
  }
  return plans;
}

/** Results are of fewer examples than they say, or of half a question. @param positions that there are to read */
export function tellCuts(plan: TaskPlan, positions: number): void {
  const { task, shots, cut, parts } = plan;
  if (cut === 0) return;
  const items = parts.reduce((sum, part) => sum + part.items.length, 0);
  const beside = isChoicePlan(plan) ? '' : ` beside --max-tokens ${plan.maxTokens}`;
  warnOnce(
    `${task.name}: ${cut} of ${items} items do not fit into the model's ${positions} positions${beside}: their beginning is ` +
      `not read${shots > 0 ? '; lower --shots' : ''}`,
  );
}

/** Loads the chat template where queries are asked with one alone. */
function meetingSetting(
  folder: string,
  tokenizer: Tokenizer,
  { bos, qmsum, chatTemplate: file }: TaskOptions,
): MeetingSetting {
  const chatTemplate = qmsum?.prompt === 'chat' ? readChatTemplate(folder, file) : undefined;
  return {
    qmsum,
    encodePrompt: createEncodePrompt(tokenizer, { bos, qmsum, chatTemplate }),
    decode: (ids) => tokenizer.decode(ids),
  };
}
