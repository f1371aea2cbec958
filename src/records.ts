/** What a run tells: the records of `metrics$` and `metrics.jsonl`. Losses are in nats per token. */

/** Of the finite losses, by nearest rank (p90: the smallest loss that at least 90 % do not exceed); NaN if none is. */
export interface LossPercentiles {
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** One optimizer step. Losses are in nats per token with a label; fractions are of the step's wall time. */
export interface StepRecord {
  readonly type: 'step';
  readonly step: number;
  /** Tokens read so far, without padding. */
  readonly tokens: number;
  /** Share of the step's slots that hold no token. */
  readonly padding: number;
  readonly loss: number;
  readonly ce: number;
  readonly kl: number;
  readonly ce_percentiles: LossPercentiles;
  /** Before clipping; null where it overflowed and the step was skipped. */
  readonly grad_norm: number | null;
  readonly lr: number;
  /** Where gradients are kept as halves: their factor in this step, and steps skipped before it. */
  readonly loss_scale?: number;
  readonly skipped_steps?: number;
  /**
   * In steps whose batch met documents that can't be read, or of which nothing that is to be learned fits a row: how many
   * so far, and the first of the new ones, in words.
   */
  readonly skipped_documents?: { readonly total: number; readonly found: readonly string[] };
  /**
   * Trace of the gradients' covariance over its squared norm (McCandlish et al. 2018), in labels, estimated from this
   * step's micro-batches; null when there is only one or the estimate of the norm is not positive.
   */
  readonly noise_scale: number | null;
  /** Tokens that the teacher read for the step: 0 where there is none, or where a cache had all of its hidden states. */
  readonly teacher_tokens: number;
  readonly tokens_per_s: number;
  readonly elapsed_s: number;
  readonly busy: { readonly loader: number; readonly teacher: number; readonly student: number };
  /**
   * The student's waiting: for the loader, for the teacher to read its batch, for the device to be free, and, where ranks share the
   * batch, for the sum of their gradients.
   */
  readonly wait: {
    readonly data: number;
    readonly teacher: number;
    readonly device: number;
    readonly ranks?: number;
  };
  readonly memory_bytes: number;
}

/** What a part of an evaluation took. */
export interface EvaluationTime {
  /** That the device worked for it, in seconds, and their share of the wall time from the end of one evaluation to that of the next. */
  readonly seconds: number;
  readonly share: number;
  /** That the training waited for the evaluation, in seconds. */
  readonly waited: number;
}

/** Held-out loss after `step` steps. */
export interface EvalRecord {
  readonly type: 'eval';
  readonly step: number;
  /** Nats per predicted token. */
  readonly nll: number;
  readonly perplexity: number;
  /** Predicted tokens. */
  readonly tokens: number;
  readonly busy: EvaluationTime;
}

/** What the model after `step` steps came to in tasks and in what it wrote: after the loss of the same evaluation. */
export interface TasksRecord {
  readonly type: 'tasks';
  readonly step: number;
  /**
   * By task, group or subject, and of held-out examples by `generate`: each metric, and as METRIC_stderr its standard
   * error, null of a single item.
   */
  readonly results: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
  /** Items scored, by the same names. */
  readonly items: Readonly<Record<string, number>>;
  readonly busy: EvaluationTime;
}

/** A value of a metric, and the step after which it was measured. */
export interface Measured {
  readonly metric: string;
  readonly step: number;
  readonly value: number;
}

/** Why a run was over, whatever its length: this many evaluations in a row were no better than the best one. */
export interface EarlyStop {
  readonly patience: number;
  /** Absent where no evaluation gave a number. */
  readonly best?: Measured;
}

/** The training stands still at `step` until the evaluation after `evaluation` steps is there: on `metrics$` only. */
export interface WaitingRecord {
  readonly type: 'waiting';
  readonly step: number;
  readonly evaluation: number;
}

export interface StartRecord {
  readonly type: 'start';
  /** Of a fork: the checkpoint that it begins with. */
  readonly fork?: { readonly run: string; readonly step: number };
  readonly version: string;
  readonly device: string;
  readonly parameters: number;
  readonly steps: number;
  readonly micro_batch: number;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface CheckpointRecord {
  readonly type: 'checkpoint';
  readonly step: number;
  readonly path: string;
}

/** Every step is done, or what evaluations came to ended the run before, and what was made is on the disk. */
export interface EndRecord {
  readonly type: 'end';
  readonly step: number;
  /** Why it was over, whatever its length: also where that was its last step. */
  readonly early_stop?: EarlyStop;
  /** What is in `path`. */
  readonly best?: Measured & { readonly path: string };
  /** Where what was made is: one of the two. */
  readonly adapter?: string;
  readonly model?: string;
}

/** A run goes on to more steps, or fewer, than it began with: after the records of `step`. */
export interface LengthRecord {
  readonly type: 'length';
  readonly step: number;
  readonly steps: number;
}

/** A model on its way from the Hub, before the run starts: on `metrics$` only. */
export interface DownloadRecord {
  readonly type: 'download';
  /** owner/name */
  readonly model: string;
  readonly file: string;
  /** Of all the model's files that are wanted, as far as their sizes are known. */
  readonly bytes: number;
  readonly total_bytes: number;
}

/** What is done before the first step, or until a model is ready, and how far it is: never in `metrics.jsonl`. */
export interface ProgressRecord {
  readonly type: 'progress';
  readonly doing:
    | 'starting the device'
    | 'reading models'
    | 'finding text'
    | 'planning'
    | 'choosing examples'
    | 'reading tasks'
    | 'counting the text'
    | 'reading text'
    | 'compiling the student'
    | 'compiling the teacher'
    | 'compiling the model'
    | 'tuning the student'
    | 'tuning the teacher'
    | 'tuning the model'
    | 'loading the student'
    | 'loading the teacher'
    | 'loading the model'
    | 'starting point';
  /** Of `total`, where that is known, in `unit`. */
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'tokens' | 'documents' | 'MiB' | 'matrices' | 'kernels' | 'products';
}

/** The GPU failed, and the run goes on from the checkpoint of `step` on a new device: on `metrics$` only. */
export interface DeviceLostRecord {
  readonly type: 'device_lost';
  readonly step: number;
  readonly message: string;
}

/** What `metrics$` emits and, downloads, progress, waiting and lost devices aside, `metrics.jsonl` holds. */
export type MetricsRecord =
  | DownloadRecord
  | ProgressRecord
  | DeviceLostRecord
  | WaitingRecord
  | LengthRecord
  | StartRecord
  | StepRecord
  | EvalRecord
  | TasksRecord
  | CheckpointRecord
  | EndRecord;
