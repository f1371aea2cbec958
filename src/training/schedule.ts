export interface ScheduleOptions {
  readonly lr: number;
  readonly warmup: number;
  readonly schedule: 'cosine' | 'linear' | 'constant' | 'wsd';
  /** Share of the steps that wsd decays over. */
  readonly decay: number;
  readonly steps: number;
}

/**
 * Learning rate of optimizer step `step` (from 1): linear warm-up times the schedule. With i = step - 1 and n steps:
 * min(1, (i + 1) / warmup) times (1 + cos(pi i / n)) / 2, or 1 - i / n, or 1, or for wsd (Hu et al. 2024)
 * min(1, (n - i) / (decay n)).
 */
export function learningRate({ lr, warmup, schedule, decay, steps }: ScheduleOptions, step: number): number {
  const i = step - 1;
  const rise = warmup > 0 ? Math.min(1, (i + 1) / warmup) : 1;
  const shapes = {
    cosine: 0.5 * (1 + Math.cos((Math.PI * i) / steps)),
    linear: 1 - i / steps,
    constant: 1,
    wsd: decay > 0 ? Math.min(1, (steps - i) / (decay * steps)) : 1,
  };
  return lr * rise * shapes[schedule];
}
