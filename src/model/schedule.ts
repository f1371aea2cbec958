export interface ScheduleOptions {
  readonly lr: number;
  readonly warmup: number;
  readonly schedule: 'cosine' | 'linear' | 'constant';
  readonly steps: number;
}

/**
 * Learning rate of optimizer step `step` (from 1): linear warm-up times the schedule. With i = step - 1 and n steps:
 * min(1, (i + 1) / warmup) times (1 + cos(pi i / n)) / 2, or 1 - i / n, or 1.
 */
export function learningRate({ lr, warmup, schedule, steps }: ScheduleOptions, step: number): number {
  const i = step - 1;
  const rise = warmup > 0 ? Math.min(1, (i + 1) / warmup) : 1;
  const shapes = {
    cosine: 0.5 * (1 + Math.cos((Math.PI * i) / steps)),
    linear: 1 - i / steps,
    constant: 1,
  };
  return lr * rise * shapes[schedule];
}
