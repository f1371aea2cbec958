import jStat from 'jstat';
import { runOf } from '../model/gradientTree.js';
import { exchangedBytes, ownParts } from './gradientExchange.js';

/**
 * What a step of several ranks takes, by a model of five constants. The ranks compute their micro-batches; all wait for the
 * slowest; gradients are copied off the device, sent, added up and copied back (gradientExchange.ts); all update. That
 * parts are sent beside computing, where a rank has several, is not in it.
 */

/** A batch that ranks share. */
export interface SharedBatch {
  readonly ranks: number;
  readonly microBatches: number;
  /** Numbers that are trained. */
  readonly elements: number;
  /**
   * How many times longer a rank computes and copies than with its cores to itself: ranks of a machine times threads of each,
   * over its cores; 1 where there are enough.
   */
  readonly crowding: number;
}

/** What machines and network need, in seconds. */
export interface StepCosts {
  /** Forward and backward of a micro-batch, with the teacher's part of it. */
  readonly microBatch: number;
  /** Once a step: update, record, and what begins and ends a step. */
  readonly update: number;
  /** To copy or add up a byte of gradients in the host's memory. */
  readonly hostByte: number;
  /** To send a byte of gradients, by a rank and to it at once: 8 over the bits a second. */
  readonly sentByte: number;
  /** For each message of a meeting, of which a rank sends one to each other. */
  readonly message: number;
  /** Standard deviation of a micro-batch's seconds over their mean, of those that have nothing to do with each other. */
  readonly jitter: number;
}

/** Parts of a step's seconds, one after the other. */
export interface StepTime {
  readonly compute: number;
  /** Waiting for the slowest rank, where all have as much to do. */
  readonly straggler: number;
  readonly host: number;
  readonly sent: number;
  readonly messages: number;
  readonly total: number;
}

/** Two meetings that agree on counts, losses and the end of a batch; each round of the exchange; the sums' way back. */
const MEETINGS = { besides: 2, back: 1 };
/** Of a meeting: counts first, then what was counted. */
const COLLECTIVES = 2;
/**
 * What becomes of a gradient in memory: read, put in one piece, set to 0; taken out of the piece, written; and of what is sent
 * and received as much, by MPI.
 */
const COPIES = { ofPart: 3, ofSum: 2, ofMessage: 2 };

/** The costs that a step's seconds are a sum of, each times its amount. */
const LINEAR = ['microBatch', 'update', 'hostByte', 'sentByte', 'message'] as const;
type Linear = (typeof LINEAR)[number];

/** How much of each cost is in a step; `waiting` is in micro-batches. */
function amountsOf(batch: SharedBatch, jitter: number): Readonly<Record<Linear | 'waiting', number>> {
  const { ranks, microBatches, elements, crowding } = batch;
  const most = runOf(0, ranks, microBatches).count;
  const alone = {
    microBatch: crowding * most,
    waiting: 0,
    update: crowding,
    hostByte: 0,
    sentByte: 0,
    message: 0,
  };
  if (ranks === 1) return alone;
  const parts = Array.from({ length: ranks }, (_, rank) => partsOf(batch, rank));
  const [rounds, all] = [Math.max(...parts), parts.reduce((sum, count) => sum + count, 0)];
  const slice = elements / ranks;
  const sharing = (rank: number) => ({ place: { rank, size: ranks }, microBatches });
  const sent = Math.max(...parts.map((_, rank) => exchangedBytes(sharing(rank), elements).sent));
  const floats = (COPIES.ofPart * rounds + COPIES.ofSum) * elements + all * slice;
  const meetings = MEETINGS.besides + rounds + MEETINGS.back;
  return {
    ...alone,
    waiting: crowding * jitter * Math.sqrt(most) * expectedMaximum(ranks),
    hostByte: crowding * (Float32Array.BYTES_PER_ELEMENT * floats + COPIES.ofMessage * sent),
    sentByte: sent,
    message: COLLECTIVES * meetings * (ranks - 1),
  };
}

const partsOf = ({ ranks, microBatches }: SharedBatch, rank: number): number =>
  ownParts({ place: { rank, size: ranks }, microBatches }).length;

/** Seconds of a step. */
export function stepTime(batch: SharedBatch, costs: StepCosts): StepTime {
  const amount = amountsOf(batch, costs.jitter);
  const parts = {
    compute: amount.microBatch * costs.microBatch + amount.update * costs.update,
    straggler: amount.waiting * costs.microBatch,
    host: amount.hostByte * costs.hostByte,
    sent: amount.sentByte * costs.sentByte,
    messages: amount.message * costs.message,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, seconds) => sum + seconds, 0) };
}

/** A step that was measured. */
export interface MeasuredStep {
  readonly batch: SharedBatch;
  readonly seconds: number;
}

const SWEEPS = 20_000;

/**
 * The costs, none below 0, by which measured steps are told best: the sum of the squares of relative errors is the least.
 * Sent bytes and copied ones are told apart by steps of several numbers of ranks alone; on one machine both are copies.
 * @param jitter as in StepCosts, known from the spread of one rank's steps
 */
export function fitStepCosts(steps: readonly MeasuredStep[], jitter: number): StepCosts {
  const rows = steps.map(({ batch, seconds }) => {
    const { waiting, ...amounts } = amountsOf(batch, jitter);
    return LINEAR.map((name) => (amounts[name] + (name === 'microBatch' ? waiting : 0)) / seconds);
  });
  const costs = LINEAR.map(() => 0);
  const errors = steps.map(() => -1);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const column of LINEAR.keys()) improve(rows, errors, costs, column);
  }
  return {
    ...(Object.fromEntries(LINEAR.map((name, i) => [name, costs[i]!])) as Record<Linear, number>),
    jitter,
  };
}

/** One cost as it is best for the others as they are; `errors` are kept up to date. */
function improve(rows: readonly number[][], errors: number[], costs: number[], column: number): void {
  let [product, square] = [0, 0];
  for (const [i, row] of rows.entries()) {
    product += row[column]! * errors[i]!;
    square += row[column]! ** 2;
  }
  if (square === 0) return;
  const change = Math.max(-costs[column]!, -product / square);
  costs[column]! += change;
  for (const [i, row] of rows.entries()) errors[i]! += change * row[column]!;
}

/** Of the largest of `count` standard normal numbers, what is to be expected (Blom 1958; within 2 % of it from 3 on, 5 % for 2). */
const expectedMaximum = (count: number): number => jStat.normal.inv((count - 0.375) / (count + 0.25), 0, 1);
