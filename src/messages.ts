/** Every value that crosses a thread: its shape, who fills it, whether it is transferred (T), shared (S) or copied. */

/** Rows of one micro-batch. Loader -> teacher -> student; all arrays transferred. T = rows * sequence tokens. */
export interface MicroBatch {
  /** Optimizer step it belongs to, from 1. */
  readonly step: number;
  /** Number within the step, from 0. */
  readonly index: number;
  /** Whether it is the last one of the step's batch that is learned from here. */
  readonly last: boolean;
  /** T: u32 [T] */
  readonly tokens: Uint32Array;
  /** T: i32 [T], -100 = no label */
  readonly labels: Int32Array;
  /** T: u32 [T], place inside the document's piece */
  readonly positions: Uint32Array;
  /** Slots of each row that hold a token, its first ones; the rest is padding. */
  readonly filled: readonly number[];
  /** T: u32 [T], row in the global batch * sequence + place in the row */
  readonly place: Uint32Array;
  readonly documents: readonly string[];
  /** Where the stream of rows stands after this micro-batch, after the last one behind the batch: plain JSON (data/packing.ts: Cursor). */
  readonly cursor: unknown;
  /** Documents left out: how many up to here, and what is wrong with the first ones found for it. */
  readonly skipped: { readonly total: number; readonly listed: readonly string[] };
  /** Time spent on this micro-batch by the actors before the student. */
  readonly spent: {
    readonly loaderMs: number;
    /** Reading, and waiting for the loader to have something to read. */
    readonly teacherMs: number;
    readonly teacherDataMs: number;
    /** Tokens that the teacher read for it: none where a cache had all of them. */
    readonly teacherTokens: number;
  };
  readonly signal: TeacherSignal;
}

/**
 * What the teacher says of a micro-batch's tokens: nothing, where there is no teacher or it has not read them yet, or
 * (T) its hidden states after the final norm, f32 [T, D_teacher].
 */
export type TeacherSignal =
  | { readonly kind: 'none' }
  | { readonly kind: 'hidden'; readonly hidden: Float32Array };

/** Anything that batches are pulled from, one per credit. null: no more. */
export interface BatchSource {
  pull(): Promise<MicroBatch | null>;
}

/** f32 tensors by name; filled by the student from its session, transferred. */
export type Tensors = Map<string, Float32Array>;

/** The run's answer to a finished step. */
export interface StepOrders {
  /** Give the evaluator a snapshot of what is trained. */
  readonly evaluate: boolean;
  /** Publish a checkpoint; resolves once everything before it is on disk. */
  readonly checkpoint: boolean;
  readonly stop: boolean;
  /** Publish, first of all, what the evaluator has now: it was measured to be the best so far. */
  readonly best?: MeasuredValue | undefined;
}

/** A value of a metric, and the step after which it was measured. Plain JSON. */
export interface MeasuredValue {
  readonly metric: string;
  readonly step: number;
  readonly value: number;
}

/** What the evaluations so far came to for a metric. Plain JSON. */
export interface Watched {
  readonly best?: MeasuredValue | undefined;
  /** Evaluations after it that were no better. */
  readonly since: number;
}

/** What depends on evaluations. Plain JSON. */
export interface EvaluationState {
  readonly keepBest?: Watched | undefined;
  readonly earlyStop?: Watched | undefined;
  /** The run has ended for it, after the step of the checkpoint. */
  readonly ended?: { readonly patience: number; readonly best?: MeasuredValue | undefined } | undefined;
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

/** What a checkpoint holds beside the state of the training, so that a resume can tell its own files from others. Plain JSON. */
export interface CheckpointFacts {
  /** Form of the checkpoint, 2: its files have hashes. Absent in those of version 0.1.0, which have none, nor the rest. */
  readonly format?: 2 | undefined;
  /** Bytes of metrics.jsonl that belong to the run so far, and their hash. */
  readonly metricsBytes: number;
  readonly metricsHash?: string | undefined;
  /** What run.json says, and the steps of the schedule. */
  readonly run?: Readonly<Record<string, unknown>> | undefined;
  readonly steps?: number | undefined;
  /** Hash of the local files of text, by path; of many one for all. */
  readonly texts?: Readonly<Record<string, string>> | undefined;
  /** Whether the checkpoint's record belongs into metrics.jsonl, after those bytes. */
  readonly recorded?: boolean | undefined;
  /** Of a run that was stopped while an evaluation was on its way: what follows those bytes, in order. */
  readonly held?: readonly HeldRecord[] | undefined;
  /** Of a run that keeps the best or stops early: what the evaluations up to here came to, without those in `held`. */
  readonly evaluations?: EvaluationState | undefined;
}

/** What a checkpoint is to hold, and what is published before it. */
export interface CheckpointOrders {
  readonly facts: CheckpointFacts;
  /** As in `StepOrders`. */
  readonly best?: MeasuredValue | undefined;
}

/** A line of metrics.jsonl that waits for an evaluation, or the evaluation after `evaluation` steps that it waits for. */
export type HeldRecord = { readonly evaluation: number } | { readonly type: string };

/** State of a run after a step, beside the tensors. Plain JSON. */
export interface RunState extends CheckpointFacts {
  readonly step: number;
  readonly tokens: number;
  readonly elapsedSeconds: number;
  /** Of the last consumed micro-batch. */
  readonly cursor: unknown;
  /** Where gradients are kept as halves. */
  readonly lossScale?: LossScaleState | undefined;
}
