import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bos } from '#src/data/encoding.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { taskEncoder } from '#src/evaluation/tasks/encodePair.js';
import { planTask, type TaskPlan } from '#src/evaluation/tasks/planTask.js';
import { TASKS } from '#src/evaluation/tasks/registry.js';
import type { MeetingSetting } from '#src/evaluation/tasks/task.js';
import { taskData } from '#src/evaluation/tasks/taskData.js';
import type { TaskName } from '#src/options/tasks.js';
import { sharedPath, temporaryFolder } from '../../support.js';

/** What lm_eval 0.4.13 made of tasks with a small model, and the plans of the same tasks. */

export interface Golden {
  readonly task: string;
  readonly shots: number;
  readonly doc_id: number;
}

/** Of tasks that are not about meetings. */
export const NO_MEETINGS: MeetingSetting = {
  qmsum: undefined,
  encodePrompt: () => new Uint32Array(0),
  decode: () => '',
};

/** A file of ../shared/goldens/lm_eval, or an object in one. */
export const goldenText = (name: string): string =>
  readFileSync(sharedPath('goldens/lm_eval', name)!, 'utf8');

export const goldenLines = <T extends Golden>(name: string): T[] =>
  goldenText(name)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

/** What was evaluated: task, shots, and which share of it. */
export interface Setting {
  readonly task: TaskName;
  readonly shots: number;
  readonly limit: number;
  readonly maxTokens?: number;
}

const WRITTEN = { gsm8k: 64, gsm8k_g16: 16 };

/** `arc_challenge:25` and its limit, as the goldens name a setting. */
export function settingOf(key: string, limit: number): Setting {
  const [name, shots] = key.split(':') as [keyof typeof WRITTEN & string, string];
  const task = (name === 'gsm8k_g16' ? 'gsm8k' : name) as TaskName;
  const maxTokens = WRITTEN[name];
  return { task, shots: Number(shots), limit, ...(maxTokens && { maxTokens }) };
}

const SUBJECTS = [
  'abstract_algebra',
  'anatomy',
  'astronomy',
  'college_computer_science',
  'econometrics',
  'formal_logic',
  'global_facts',
  'high_school_us_history',
  'management',
  'us_foreign_policy',
  'world_religions',
];

/** The shared data of tasks, with the subjects of MMLU that the goldens have. */
export function goldenData(): string {
  const folder = temporaryFolder('tasks');
  const link = (path: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(sharedPath('data/eval', path)!, join(folder, path));
  };
  for (const task of ['arc', 'gsm8k', 'hellaswag', 'truthfulqa', 'winogrande']) link(task);
  for (const subject of SUBJECTS) {
    for (const split of ['test', 'dev']) link(`mmlu/${split}/${subject}_${split}.csv`);
  }
  return folder;
}

/** Plans of settings for a tokenizer and a model of so many positions. */
export async function plansOf(
  settings: readonly Setting[],
  folder: string,
  tokenizer: string,
  { bos = 'auto', positions = 512 }: { bos?: Bos; positions?: number } = {},
): Promise<TaskPlan[]> {
  const encoder = taskEncoder(await loadTokenizer(tokenizer), bos);
  const plans: TaskPlan[] = [];
  for (const { task, shots, limit, maxTokens } of settings) {
    const parts = await TASKS[task].read(taskData(folder), NO_MEETINGS);
    plans.push(await planTask(TASKS[task], parts, encoder, { shots, limit, maxTokens, positions }));
  }
  return plans;
}
