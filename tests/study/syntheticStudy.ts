import { randomStream } from '#src/data/random.js';
import type { AxisValue, Branch, CellRecord, StudyRecord, View } from '#src/study/records.js';

/** Studies that were never run: cells from a loss surface that is known, with noise over seeds and cells. */

export interface SyntheticStart {
  readonly name: string;
  /** Best lr at batch 16, and its power of the batch. */
  readonly bestRate: number;
  readonly power: number;
  /** Added to the loss at the best lr, as a function of the batch. */
  readonly penalty?: (batch: number) => number;
  readonly sharpness?: number;
}

export interface Surface {
  readonly starts: readonly SyntheticStart[];
  readonly batches: readonly number[];
  readonly rates: readonly number[];
  readonly seeds: readonly number[];
  /** s.d. of what a seed adds to all of its runs, and of what each run adds, nats per token. */
  readonly seedNoise: number;
  readonly cellNoise: number;
  /** Loss per squared ln(lr / best lr). */
  readonly curvature: number;
  /** Factor above the best lr from which runs diverge. */
  readonly divergesAt: number;
  readonly views: readonly View[];
  readonly randomSeed: number;
}

const grid = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((from * 10 ** (i / 4)).toPrecision(3)));

export const SURFACE: Surface = {
  starts: [
    { name: 'random', bestRate: 1e-3, power: 0.55, sharpness: 12 },
    { name: 'pissa', bestRate: 3.3e-4, power: 0.45, sharpness: 38 },
    { name: 'milora', bestRate: 7e-4, power: 0.5, sharpness: 15 },
    { name: 'full', bestRate: 2.4e-4, power: 0.4, penalty: (batch) => -0.015 - 0.004 * Math.log2(batch / 4) },
  ],
  batches: [4, 16, 64, 256],
  rates: grid(1e-5, 15),
  seeds: [1, 2, 3],
  seedNoise: 0.01,
  cellNoise: 0.003,
  curvature: 0.03,
  divergesAt: 40,
  views: ['tokens'],
  randomSeed: 1,
};

const TOKENS = 2 ** 20;
const SEQUENCE = 128;
const BASE = 2.6;

/** Standard normal numbers (Box and Muller), one after the other. */
function gaussian(seed: number): () => number {
  const stream = randomStream(seed, 99);
  let counter = 0;
  const uniform = () => (stream(counter++) + 0.5) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Final loss without noise; infinite where it diverges. */
export function lossAt(
  { curvature, divergesAt }: Surface,
  start: SyntheticStart,
  batch: number,
  lr: number,
): number {
  const best = start.bestRate * (batch / 16) ** start.power;
  if (lr > divergesAt * best) return Number.POSITIVE_INFINITY;
  const floor = 1.9 + 0.012 * Math.log2(batch / 4) ** 1.5 + (start.penalty?.(batch) ?? 0);
  return floor + curvature * Math.log(lr / best) ** 2;
}

interface Place {
  readonly view: View;
  readonly start: SyntheticStart;
  readonly batch: number;
  readonly lr: number;
  readonly seed: number;
}

/** One run to `loss`, with curves that lead there. */
export function syntheticCell(place: Place, loss: number, noise: () => number): CellRecord {
  const { view, start, batch, lr, seed } = place;
  const steps = view === 'tokens' ? Math.round(TOKENS / batch / SEQUENCE) : 200;
  const stepTokens = batch * SEQUENCE;
  const isDone = Number.isFinite(loss);
  const moments = Array.from({ length: 17 }, (_, i) => Math.round((steps * i) / 16));
  const progress = (step: number) => (1 - Math.exp((-4 * step) / steps)) / (1 - Math.exp(-4));
  const at = (step: number) => ({ step, tokens: step * stepTokens });
  const isFull = start.name === 'full';
  const command = `rivulet train --batch ${batch} --lr ${lr} --seed ${seed} --out "cells/${start.name}"`;
  return {
    key: [view, start.name, batch, lr, seed].join('-'),
    axes: { start: start.name, batch, lr, seed },
    view,
    status: isDone ? 'done' : 'diverged',
    ...(!isDone && { reason: 'loss became infinite at step 12' }),
    options: { batch, lr, seed, rank: 16, ...(isFull && { trainable: 'all' }) },
    command,
    steps,
    tokens: steps * stepTokens,
    seconds: 20 + Math.abs(noise()),
    measures: isDone
      ? {
          nll: loss,
          bits_per_byte: loss / 2.9,
          forgetting: 0.05 + 4e-3 * Math.log2(batch) + (isFull ? 0.1 : 0) + 0.005 * noise(),
          'exact_match.digits': 0.6 - 0.1 * (loss - 1.9) + 0.01 * noise(),
          ...(start.sharpness && { sharpness: start.sharpness * (1 + 0.03 * noise()) }),
        }
      : {},
    curve: isDone ? moments.map((step) => ({ ...at(step), nll: BASE + (loss - BASE) * progress(step) })) : [],
    training: moments.slice(1).map((step) => ({
      ...at(step),
      loss: isDone ? BASE + (loss - BASE) * progress(step) : BASE,
      grad_norm: 1,
      noise_scale: 3000 * (1 + (6 * step) / steps) * Math.exp(0.4 * noise()),
    })),
    dynamics:
      isFull || !isDone
        ? []
        : moments.slice(1).map((step) => ({
            ...at(step),
            norm: 0.02 * Math.sqrt(step / steps) * (start.name === 'pissa' ? 2 : 1),
            stable_rank: 2 + 3 * progress(step),
            top: start.name === 'pissa' ? 0.5 - 0.2 * progress(step) : 0.05,
            bottom: start.name === 'milora' ? 0.3 : 0.02,
          })),
  };
}

/** All cells of a surface's grid. */
export function syntheticCells(surface: Surface): CellRecord[] {
  const noise = gaussian(surface.randomSeed);
  const ofSeed = new Map(surface.seeds.map((seed) => [seed, surface.seedNoise * noise()]));
  return surface.views.flatMap((view) =>
    surface.starts.flatMap((start) =>
      surface.batches.flatMap((batch) =>
        surface.rates.flatMap((lr) =>
          surface.seeds.map((seed) => {
            const loss = lossAt(surface, start, batch, lr) + ofSeed.get(seed)! + surface.cellNoise * noise();
            return syntheticCell({ view, start, batch, lr, seed }, loss, noise);
          }),
        ),
      ),
    ),
  );
}

/** Branches of a cell at some of its steps: loss rises once the batch is over `critical` times the cell's own. */
export function branchesOf(
  cell: CellRecord,
  steps: readonly number[],
  critical: (step: number) => number,
): CellRecord[] {
  return steps.flatMap((step) =>
    [1, 2, 4, 8, 16].map((factor) => {
      const branch: Branch = { from: cell.key, step, factor };
      const rise = Math.max(0, Math.log2(factor / critical(step))) * 0.02;
      const batch = Number(cell.axes.batch) * factor;
      const length = Math.round(cell.steps / factor / 4);
      return {
        ...cell,
        key: `${cell.key}-branch-${step}-${factor}`,
        axes: { ...cell.axes, batch },
        branch,
        steps: length,
        tokens: (length * cell.tokens * factor) / cell.steps,
        measures: { nll: cell.measures.nll! + rise },
        curve: [],
        training: [],
        dynamics: [],
      };
    }),
  );
}

export function studyOf(
  cells: readonly CellRecord[],
  axes: Readonly<Record<string, readonly AxisValue[]>>,
  more: Partial<StudyRecord> = {},
): StudyRecord {
  return {
    name: 'Does the best start depend on the batch?',
    version: '0.1.0',
    machine: '2 cores',
    config: { student: 'miniature', text: ['stories.txt'], axes },
    axes,
    base: { nll: BASE, bits_per_byte: BASE / 2.9 },
    teacher: { nll: 1.6 },
    cells,
    remaining: 0,
    notes: [],
    seconds: cells.reduce((sum, { seconds }) => sum + seconds, 0),
    ...more,
  };
}

export const axesOf = ({ starts, batches, rates, seeds }: Surface): Record<string, readonly AxisValue[]> => ({
  start: starts.map(({ name }) => name),
  batch: batches,
  lr: rates,
  seed: seeds,
});

export const syntheticStudy = (surface: Surface, more: Partial<StudyRecord> = {}): StudyRecord =>
  studyOf(syntheticCells(surface), axesOf(surface), more);
