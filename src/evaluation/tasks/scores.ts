import type { Metrics } from './item.js';
import type { TaskPlan } from './planTask.js';
import { TASKS } from './registry.js';
import { resultsOf, type TaskResults, type TaskSample } from './runTask.js';

/** What tasks came to, by the name of a task, a group or a subject. */
export interface ScoredTasks {
  /** Each metric, and as METRIC_stderr its standard error, null of a single item. */
  readonly results: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
  /** Of the leaderboard's tasks, where all of them are there. */
  readonly mean?: number;
  readonly items: Readonly<Record<string, number>>;
  readonly shots: Readonly<Record<string, number>>;
}

/** Gathers the samples of tasks. */
export class Scores {
  readonly #plans: readonly TaskPlan[];
  readonly #measured: readonly Map<string, Metrics[]>[];

  constructor(plans: readonly TaskPlan[]) {
    this.#plans = plans;
    this.#measured = plans.map(() => new Map<string, Metrics[]>());
  }

  /** @param plan its number among the plans */
  add(plan: number, { task, metrics }: Pick<TaskSample, 'task' | 'metrics'>): void {
    const measured = this.#measured[plan]!;
    const known = measured.get(task);
    if (known) known.push(metrics);
    else measured.set(task, [metrics]);
  }

  results(): ScoredTasks {
    const results = this.#plans.map((plan, i) => resultsOf(plan.task, this.#measured[i]!));
    return scoredTasks(this.#plans, results);
  }
}

function scoredTasks(plans: readonly TaskPlan[], results: readonly TaskResults[]): ScoredTasks {
  const shown: Record<string, Record<string, number | null>> = {};
  const items: Record<string, number> = {};
  const shots: Record<string, number> = {};
  for (const [i, plan] of plans.entries()) {
    for (const [name, metrics] of results[i]!) {
      shown[name] = {};
      shots[name] = plan.shots;
      for (const [metric, { mean, stderr, items: count }] of metrics) {
        shown[name][metric] = mean;
        shown[name][stderrOf(metric)] = stderr;
        items[name] = count;
      }
    }
  }
  const mean = meanOf(shown);
  return { results: shown, ...(mean !== undefined && { mean }), items, shots };
}

/** Of the tasks that have a part in it; undefined where one is missing. */
function meanOf(results: ScoredTasks['results']): number | undefined {
  const headlines = Object.values(TASKS).flatMap(({ name, headline }) =>
    headline === undefined ? [] : [results[name]?.[headline]],
  );
  let sum = 0;
  for (const value of headlines) {
    if (typeof value !== 'number') return undefined;
    sum += value;
  }
  return sum / headlines.length;
}

/** `acc` -> `acc_stderr`, `exact_match,strict-match` -> `exact_match_stderr,strict-match`. */
const stderrOf = (metric: string): string => metric.replace(/^[^,]*/, '$&_stderr');
