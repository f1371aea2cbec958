import type { TaskPlan } from './planTask.js';
import { isChoicePlan } from './planTask.js';
import { resultsOf } from './runTask.js';

/** What a plan measures, as `TASK/METRIC`: of mmlu also by group and subject. No model is asked. */
export function metricsOf(plan: TaskPlan): string[] {
  const measured = new Map(
    isChoicePlan(plan)
      ? plan.parts.map(({ part, items: [first] }) => {
          const ll = first!.requests.map(() => 0);
          return [part.name, [plan.task.measure(first!.item, ll)]] as const;
        })
      : plan.parts.map(
          ({ part, items: [first] }) => [part.name, [plan.task.measure(first!.item, '')]] as const,
        ),
  );
  return [...resultsOf(plan.task, measured)].flatMap(([name, metrics]) =>
    [...metrics.keys()].map((metric) => `${name}/${metric}`),
  );
}

/** Whether a metric is better when it is lower: the loss alone is. */
export const isLoss = (metric: string): boolean => metric === 'nll';
