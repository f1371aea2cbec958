/** Every value that crosses a thread: its shape, who fills it, whether it is transferred (T), shared (S) or copied. */

/** Rows of one micro-batch. Loader -> teacher -> student; all arrays transferred. T = rows * sequence tokens. */
export interface MicroBatch {
  /** Optimizer step it belongs to, from 1. */
  readonly step: number;
  /** Number within the step, from 0. */
  readonly index: number;
  /** Whether the step's batch is complete with it. */
  readonly last: boolean;
  /** T: u32 [T] */
  readonly tokens: Uint32Array;
  /** T: i32 [T], -100 = no label */
  readonly labels: Int32Array;
  /** T: u32 [T], place inside the document's piece */
  readonly positions: Uint32Array;
  /** Slots that hold a token; the rest is padding. */
  readonly filled: number;
  /** T: u32 [T], row in the global batch * sequence + place in the row */
  readonly place: Uint32Array;
  readonly documents: readonly string[];
  /** Where the stream of rows stands after this micro-batch: plain JSON (data/packing.ts: Cursor). */
  readonly cursor: unknown;
  /** Documents left out: how many up to here, and what is wrong with the first ones found for it. */
  readonly skipped: { readonly total: number; readonly listed: readonly string[] };
  /** Time spent on this micro-batch by the actors before the student. */
  readonly spent: {
    readonly loaderMs: number;
    /** Reading, and waiting for the loader to have something to read. */
    readonly teacherMs: number;
    readonly teacherDataMs: number;
  };
  /** What the teacher says of these tokens; absent without a teacher. */
  readonly signal?: TeacherSignal;
}

/** The teacher's answer. T: hidden states after the final norm, f32 [T, D_teacher]. */
export interface TeacherSignal {
  readonly kind: 'hidden';
  readonly hidden: Float32Array;
}

/** Anything that batches are pulled from, one per credit. null: no more. */
export interface BatchSource {
  pull(): Promise<MicroBatch | null>;
}

/** f32 tensors by name; filled by the student from its session, transferred. */
export type Tensors = Map<string, Float32Array>;

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
  readonly tokens_per_s: number;
  readonly elapsed_s: number;
  readonly busy: { readonly loader: number; readonly teacher: number; readonly student: number };
  /** The student's waiting: for the loader, for the teacher to read its batch, and for the device to be free. */
  readonly wait: { readonly data: number; readonly teacher: number; readonly device: number };
  readonly memory_bytes: number;
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
}

export interface StartRecord {
  readonly type: 'start';
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

export interface EndRecord {
  readonly type: 'end';
  readonly step: number;
  /** Where what was made is: one of the two. */
  readonly adapter?: string;
  readonly model?: string;
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

/** The GPU failed, and the run goes on from the checkpoint of `step` on a new device: on `metrics$` only. */
export interface DeviceLostRecord {
  readonly type: 'device_lost';
  readonly step: number;
  readonly message: string;
}

/** What `metrics$` emits and, downloads and lost devices aside, `metrics.jsonl` holds. */
export type MetricsRecord =
  | DownloadRecord
  | DeviceLostRecord
  | StartRecord
  | StepRecord
  | EvalRecord
  | CheckpointRecord
  | EndRecord;

/** The pipeline's answer to a finished step. */
export interface StepOrders {
  /** Give the evaluator a snapshot of what is trained. */
  readonly evaluate: boolean;
  /** Publish a checkpoint; resolves once everything before it is on disk. */
  readonly checkpoint: boolean;
  readonly stop: boolean;
}

/** Of gradients that are kept as halves. Plain JSON. */
export interface LossScaleState {
  /** What the gradients on the device are multiplied by. */
  readonly scale: number;
  /** Batches since it last changed. */
  readonly steady: number;
  /** Batches so far whose gradient overflowed: they changed nothing. */
  readonly skipped: number;
}

/** State of a run after a step, beside the tensors. Plain JSON. */
export interface RunState {
  readonly step: number;
  readonly tokens: number;
  readonly elapsedSeconds: number;
  /** Of the last consumed micro-batch. */
  readonly cursor: unknown;
  /** Bytes of metrics.jsonl that belong to the run so far. */
  readonly metricsBytes: number;
  /** Where gradients are kept as halves. */
  readonly lossScale?: LossScaleState | undefined;
}
