/** Tasks that a model can be scored on, in the order of their reports. */
export const TASK_NAMES = [
  'arc_challenge',
  'hellaswag',
  'mmlu',
  'truthfulqa_mc2',
  'winogrande',
  'gsm8k',
  'qmsum',
] as const;

export type TaskName = (typeof TASK_NAMES)[number];
