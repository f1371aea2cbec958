import { TASK_NAMES, type TaskName } from '../../options/tasks.js';
import { arcChallenge } from './arcChallenge.js';
import { gsm8k } from './gsm8k.js';
import { hellaswag } from './hellaswag.js';
import { mmlu } from './mmlu.js';
import { qmsum } from './qmsum.js';
import type { Task } from './task.js';
import { truthfulqa } from './truthfulqa.js';
import { winogrande } from './winogrande.js';

/** One file a task. */
export const TASKS: Readonly<Record<TaskName, Task>> = {
  arc_challenge: arcChallenge,
  hellaswag,
  mmlu,
  truthfulqa_mc2: truthfulqa,
  winogrande,
  gsm8k,
  qmsum,
};

/** Those whose answers are written. */
export const WRITTEN: readonly TaskName[] = TASK_NAMES.filter((name) => TASKS[name].kind === 'written');

/** Those that are shown as many examples as one likes. */
export const WITH_SHOTS: readonly TaskName[] = TASK_NAMES.filter((name) => !TASKS[name].isFixed);
