import { heldOutAnswers } from './heldOutAnswers.js';
import type { ChoicePlan, TaskPlan, WrittenPlan } from './planTask.js';
import { TASKS } from './registry.js';
import type { ScoredName } from './task.js';

/** A plan on its way to another thread, which functions can't cross: its task by name. */
export type SentPlan = { readonly name: ScoredName } & (Omit<ChoicePlan, 'task'> | Omit<WrittenPlan, 'task'>);

export function sent({ task, ...plan }: TaskPlan): SentPlan {
  return { ...plan, name: task.name };
}

export function received({ name, ...plan }: SentPlan): TaskPlan {
  return { ...plan, task: name === 'generate' ? heldOutAnswers : TASKS[name] } as TaskPlan;
}
