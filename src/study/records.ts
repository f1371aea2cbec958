/** What a study is made of and finds: `cells.json` holds a `StudyRecord`. Losses are in nats per token. */

/** A place on an axis: a number, or a word such as `pissa`. */
export type AxisValue = string | number;

/** What makes the lengths of cells comparable. */
export type View = 'tokens' | 'steps';

/** Held-out loss on the way. */
export interface CurvePoint {
  readonly step: number;
  readonly tokens: number;
  readonly nll: number;
}

/** What the optimizer's steps told, thinned out. */
export interface TrainingPoint {
  readonly step: number;
  readonly tokens: number;
  readonly loss: number;
  readonly grad_norm: number | null;
  /** In labels, see `StepRecord`. */
  readonly noise_scale: number | null;
}

/** What an adapter does to the weights after `step` steps, the mean over its layers. */
export interface DynamicsPoint {
  readonly step: number;
  readonly tokens: number;
  /** Frobenius norm of delta W over that of W. */
  readonly norm: number;
  /** ||delta W||_F^2 / ||delta W||_2^2 */
  readonly stable_rank: number;
  /** Shares of ||delta W||_F^2 inside the spans of W's first and last singular vectors, as many as the rank. */
  readonly top: number;
  readonly bottom: number;
}

/** Of a cell that goes on from a step of another one at another batch size, with the rate times sqrt(factor). */
export interface Branch {
  /** `key` of the cell it begins in. */
  readonly from: string;
  readonly step: number;
  /** Its batch size over that of the cell it begins in. */
  readonly factor: number;
}

/** One run of a study. */
export interface CellRecord {
  /** Hash of all that decides its result: the name of its folder. */
  readonly key: string;
  /** Its place on every axis of the study, `seed` included; `start` is random, pissa, milora, a name or `full`. */
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly view: View;
  readonly branch?: Branch;
  /** `diverged`: its loss became infinite; `failed`: it could not be run. `reason` says why, in a line. */
  readonly status: 'done' | 'diverged' | 'failed';
  readonly reason?: string;
  /** Options of `train` that are not the defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What makes this cell alone, ready to paste. */
  readonly command: string;
  /** Of a branch both count from the beginning of the cell that it begins in, as those of its curve do. */
  readonly steps: number;
  readonly tokens: number;
  /** Of training, all parts of a cell that was stopped on its way. */
  readonly seconds: number;
  /**
   * What it came to, by name: `nll` and `bits_per_byte` held out, `forgetting` (loss on unrelated text less that of the
   * bare model), `exact_match.NAME` (shares), `sharpness` (top Hessian eigenvalue at step 0).
   */
  readonly measures: Readonly<Record<string, number>>;
  readonly curve: readonly CurvePoint[];
  readonly training: readonly TrainingPoint[];
  readonly dynamics: readonly DynamicsPoint[];
}

/** A study: its question and all cells that have ended. */
export interface StudyRecord {
  readonly name: string;
  readonly version: string;
  readonly machine: string;
  /** The config file as it was read. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Names of the axes, outermost first, with their values in order; `lr` as far as its grid was extended. */
  readonly axes: Readonly<Record<string, readonly AxisValue[]>>;
  /** Of the model as it is, without training: the same names as in `CellRecord.measures`. */
  readonly base: Readonly<Record<string, number>>;
  /** Of the teacher, where there is one. */
  readonly teacher?: Readonly<Record<string, number>>;
  readonly cells: readonly CellRecord[];
  /** What a reader should know, a line each: searches whose optimum does not lie inside of their grid. */
  readonly notes: readonly string[];
  /** Cells that are still to be run, as far as is known. */
  readonly remaining: number;
  readonly seconds: number;
}

/** How far a study is. */
export interface StudyProgress {
  /** Cells that have ended, and all that are known. */
  readonly done: number;
  readonly known: number;
  /** Tokens of the cells that have ended, and of all that are known; of branches those after the fork. */
  readonly tokens: number;
  readonly knownTokens: number;
  /** The cells that run, one a rank at most. */
  readonly running: readonly RunningCell[];
  /** Undefined before the first cell of this start has ended. */
  readonly secondsLeft?: number;
}

/** How far a cell is. */
export interface RunningCell {
  readonly rank: number;
  readonly axes: CellRecord['axes'];
  readonly step: number;
  readonly steps: number;
}

/** What a study comes to: its cells known from the start, and the most there may be. */
export interface StudyEstimate {
  readonly cells: Bounds;
  readonly tokens: Bounds;
  /** Of training, evaluations and checkpoints aside. */
  readonly seconds: Bounds;
}

export interface Bounds {
  readonly least: number;
  readonly most: number;
}
