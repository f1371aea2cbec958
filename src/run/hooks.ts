import type { MetricsRecord } from '../records.js';

/** What a run tells and asks its owner. */
export interface RunHooks {
  readonly emit: (record: MetricsRecord) => void;
  readonly shouldStop: () => boolean;
  /** Resolves when the run should stop. */
  readonly stopped: Promise<void>;
}
