import { logUpdateStderr as log } from 'log-update';
import { asyncScheduler, filter, type Observable, type Subscription, throttleTime } from 'rxjs';
import { oneLine } from '../base/errors.js';
import { TASK_NAMES } from '../options/tasks.js';
import type { MetricsRecord, StepRecord } from '../records.js';
import { isTerminal, lineMs } from './throttledLine.js';

/** Seconds as 1:02:03 or 2:03. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

/** Of a run, what its lines depend on. */
interface Shown {
  readonly steps: number;
  /** Without one, the loss is the cross-entropy alone. */
  readonly hasTeacher: boolean;
}

/** One line about a step: number, losses, speed, time to go. */
export function stepLine(record: StepRecord, { steps, hasTeacher }: Shown, secondsPerStep: number): string {
  const { step, loss, ce, kl, tokens_per_s: speed, padding } = record;
  return [
    `step ${String(step).padStart(String(steps).length)}/${steps}`,
    `loss ${loss.toFixed(4)}`,
    ...(hasTeacher ? [`ce ${ce.toFixed(4)}`, `kl ${kl.toFixed(4)}`] : []),
    `${Math.round(speed).toLocaleString('en')} tok/s`,
    ...(padding > 0 ? [`padding ${(100 * padding).toFixed(1)} %`] : []),
    `eta ${clock((steps - step) * secondsPerStep)}`,
  ].join('  ');
}

const evalLine = (record: Extract<MetricsRecord, { type: 'eval' }>): string =>
  `eval  step ${record.step}  held-out loss ${record.nll.toFixed(4)}  perplexity ${record.perplexity.toFixed(3)}` +
  `  (${record.tokens.toLocaleString('en')} tokens)`;

/** What is shown: of mmlu not every group and subject. */
const SHOWN = new Set<string>([...TASK_NAMES, 'generate']);

/** A line a task: its metrics, without their standard errors. */
export const taskLines = ({ step, results, items }: Extract<MetricsRecord, { type: 'tasks' }>): string[] =>
  Object.entries(results).flatMap(([name, metrics]) => {
    if (!SHOWN.has(name)) return [];
    const shown = Object.entries(metrics)
      .filter(([metric]) => !/^[^,]*_stderr/.test(metric))
      .map(([metric, value]) => `${metric} ${(value ?? Number.NaN).toFixed(4)}`);
    return `eval  step ${step}  ${name}  ${shown.join('  ')}  (${items[name]!.toLocaleString('en')} items)`;
  });

/** Skipped documents that a line names. */
const NAMED = 3;

/** What a step's batch left out. */
export function skippedLine({ step, skipped_documents }: StepRecord): string {
  const { total, found } = skipped_documents!;
  const more = found.length > NAMED ? `; and ${found.length - NAMED} more in metrics.jsonl` : '';
  return oneLine(
    `step ${step}: ${total} documents left out so far; ${found.slice(0, NAMED).join('; ')}${more}`,
  );
}

/** Shows a run on stderr: one line that is kept up to date on a terminal, plain lines elsewhere. */
export function showProgress(metrics$: Observable<MetricsRecord>, run: Shown): Subscription {
  const line = createLine(isTerminal());
  const pace = createPace();
  const shown = metrics$.pipe(filter((record) => record.type === 'step'));
  const throttled = shown.pipe(throttleTime(lineMs(), asyncScheduler, { leading: true, trailing: true }));
  const ignore = () => {};
  const subscription = shown.subscribe({ next: pace.tick, error: ignore });
  subscription.add(
    throttled.subscribe({
      next: (record) => line.update(stepLine(record, run, pace.seconds())),
      error: ignore,
      complete: () => line.done(),
    }),
  );
  const evaluations = metrics$.pipe(filter((record) => record.type === 'eval'));
  subscription.add(
    evaluations.subscribe({ next: (record) => line.print(evalLine(record)), error: () => line.done() }),
  );
  const tasks = metrics$.pipe(filter((record) => record.type === 'tasks'));
  const waiting = metrics$.pipe(filter((record) => record.type === 'waiting'));
  subscription.add(
    tasks.subscribe({ next: (record) => line.print(taskLines(record).join('\n')), error: ignore }),
  );
  subscription.add(
    waiting.subscribe({
      next: ({ step, evaluation }) =>
        line.print(`step ${step}  waits for the evaluation after step ${evaluation}`),
      error: ignore,
    }),
  );
  const skipping = shown.pipe(filter((record) => record.skipped_documents !== undefined));
  subscription.add(skipping.subscribe({ next: (record) => line.print(skippedLine(record)), error: ignore }));
  const losses = metrics$.pipe(filter((record) => record.type === 'device_lost'));
  subscription.add(
    losses.subscribe({
      next: ({ message, step }) => line.print(`${message}; going on from step ${step} on a new device`),
      error: ignore,
    }),
  );
  return subscription;
}

/** Mean seconds per step of this process. */
function createPace() {
  let first: StepRecord | undefined;
  let last: StepRecord | undefined;
  return {
    tick(record: StepRecord) {
      first ??= record;
      last = record;
    },
    seconds(): number {
      if (!first || !last || first === last) return last ? last.elapsed_s / last.step : 0;
      return (last.elapsed_s - first.elapsed_s) / (last.step - first.step);
    },
  };
}

function createLine(terminal: boolean) {
  const update = terminal ? createTerminalLine() : undefined;
  const print = (text: string) => process.stderr.write(`${text}\n`);
  return {
    update: (text: string) => (update ? update.show(text) : print(text)),
    print: (text: string) => (update ? update.above(text) : print(text)),
    done: () => update?.done(),
  };
}

function createTerminalLine() {
  let current = '';
  return {
    show(text: string) {
      current = text;
      log(text);
    },
    above(text: string) {
      log.clear();
      process.stderr.write(`${text}\n`);
      if (current) log(current);
    },
    done: () => log.done(),
  };
}
