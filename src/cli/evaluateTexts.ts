import type { Evaluation } from '../library/evaluate.js';
import type { TaskEvaluation } from '../library/taskEvaluation.js';

type Result = Partial<Evaluation & TaskEvaluation> & { readonly seconds: number };

/** What a model makes of text and tasks, line by line. */
export function evaluationText(result: Result): string {
  const { tokens, nll, perplexity, results, seconds } = result;
  const lines: string[] = [];
  if (nll !== undefined) {
    lines.push(
      `${tokens!.toLocaleString('en')} tokens  ${nll.toFixed(4)} nats per token  perplexity ${perplexity!.toFixed(3)}`,
    );
  }
  if (results) lines.push(...taskLines(result as TaskEvaluation));
  const last = lines.pop()!;
  return [...lines, `${last}  (${seconds.toFixed(1)} s)`].join('\n');
}

/** A line a metric of a task, and one for the mean of all tasks. */
function taskLines({ results, items, shots, mean }: TaskEvaluation): string[] {
  const rows = Object.entries(results).flatMap(([task, metrics]) =>
    Object.keys(metrics)
      .filter((metric) => !/^[^,]*_stderr/.test(metric))
      .map((metric) => {
        const stderr = metrics[metric.replace(/^[^,]*/, '$&_stderr')];
        const value = `${shown(metrics[metric]!)}${typeof stderr === 'number' ? ` +- ${shown(stderr)}` : ''}`;
        return [task, `${shots[task]} shots`, `${items[task]!.toLocaleString('en')} items`, metric, value];
      }),
  );
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((text, i) => text.padEnd(widths[i] ?? 0)).join('  '));
  return mean === undefined ? lines : [...lines, `mean of the six tasks  ${shown(mean)}`];
}

const shown = (value: number | null): string => (value ?? Number.NaN).toFixed(4);
