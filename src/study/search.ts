/** Which learning rates and seeds of one line of a study are still to be run. Pure: the same results, the same answer. */

/** Neighbours on a grid of learning rates differ by this factor. */
export const GRID_RATIO = 10 ** 0.25;

/** Learning rates of a line: places are whole numbers in ascending order of the rate. */
export interface Grid {
  /** Places to begin with; one alone where there is no learning rate to find. */
  readonly places: readonly number[];
  /** Places that may be added at its ends, one after the other, until the optimum lies inside. */
  readonly extensions: number;
}

/** `points` places around 0. */
export const gridAround = (points: number, extensions: number): Grid => ({
  places: Array.from({ length: points }, (_, i) => i - Math.floor((points - 1) / 2)),
  extensions,
});

/** How many seeds a line has everywhere, and how many at its optimum and beside it. */
export interface Seeds {
  readonly everywhere: number;
  readonly best: number;
}

/** A cell of a line, by the place of its rate and the number of its seed. */
export interface Spot {
  readonly place: number;
  readonly seed: number;
}

export interface Wanted extends Spot {
  /** Lower ones first, over all lines: so a picture of everything is there early. */
  readonly turn: number;
}

/** What a line has come to. */
export interface Search {
  /** Cells to run now; more may follow from them. Empty once the line is settled. */
  readonly wanted: readonly Wanted[];
  /** How many of them, from the first on, are to be run whatever the others come to: those may run at one time. */
  readonly sure: number;
  /** Place of the lowest mean loss so far, of equal ones the lowest rate; undefined while none is finite. */
  readonly best: number | undefined;
  /** Whether both neighbours of the best one are there and worse; never of a grid that may not grow. */
  readonly isInside: boolean;
  /** Places that were asked for so far, ascending. */
  readonly places: readonly number[];
}

/** Turns: the grid from its middle outwards, then what it grows by, seeds everywhere, seeds at the optimum. */
const TURNS = { grid: 0, extension: 1000, everywhere: 2000, best: 3000 } as const;

/**
 * Looks at what a line has come to.
 * @param lossOf of a cell that has ended, Infinity where it diverged, NaN where it failed; undefined of one that has not
 */
export function search(grid: Grid, seeds: Seeds, lossOf: (spot: Spot) => number | undefined): Search {
  const places = grown(grid, lossOf);
  const middle = grid.places[Math.floor((grid.places.length - 1) / 2)]!;
  const turnOf = (place: number) =>
    (grid.places.includes(place) ? TURNS.grid : TURNS.extension) + Math.abs(place - middle);
  const missing = (spots: readonly Wanted[]) => spots.filter((spot) => lossOf(spot) === undefined);
  const none = { best: undefined, isInside: false, places };

  const first = missing(places.map((place) => ({ place, seed: 0, turn: turnOf(place) })));
  if (first.length > 0) return { ...none, ...allSure(first.sort((a, b) => a.turn - b.turn)) };

  const seedsAt = (at: readonly number[], count: number, turn: number): Wanted[] =>
    missing(
      Array.from({ length: count }, (_, seed) => seed).flatMap((seed) =>
        at
          .filter((place) => Number.isFinite(lossOf({ place, seed: 0 })))
          .map((place) => ({ place, seed, turn: turn + seed })),
      ),
    );
  const everywhere = seedsAt(places, seeds.everywhere, TURNS.everywhere);
  const best = lowest(places, lossOf);
  if (everywhere.length > 0) return { ...allSure(everywhere), best, isInside: false, places };

  const hasFailed = places.some((place) => Number.isNaN(lossOf({ place, seed: 0 })));
  const outside = best === undefined && hasFailed ? undefined : beyond(grid, places, best);
  if (outside !== undefined) {
    const wanted = [{ place: outside, seed: 0, turn: turnOf(outside) }];
    return { ...allSure(wanted), best, isInside: false, places: [...places, outside].sort((a, b) => a - b) };
  }
  if (best === undefined) return { ...none, ...allSure([]) };
  const isInside = best > places[0]! && best < places.at(-1)!;
  const mayGrow = grid.extensions > 0;
  const around = places.filter((place) => Math.abs(places.indexOf(place) - places.indexOf(best)) <= 1);
  const wanted = mayGrow && !isInside ? [] : seedsAt(around, seeds.best, TURNS.best);
  // Each of these may move the optimum, and with it the places where seeds are wanted.
  return { wanted, sure: Math.min(wanted.length, 1), best, isInside, places };
}

const allSure = (wanted: readonly Wanted[]) => ({ wanted, sure: wanted.length });

/** The most cells that a line may come to, and those it has for certain. */
export function boundsOf(
  { places, extensions }: Grid,
  { everywhere, best }: Seeds,
): { least: number; most: number } {
  const most = places.length + extensions;
  const around = Math.min(3, most);
  return {
    least: places.length * everywhere,
    most: most * everywhere + around * Math.max(0, best - everywhere),
  };
}

/** Places of the grid, and those beyond it that have been run. */
function grown({ places }: Grid, lossOf: (spot: Spot) => number | undefined): number[] {
  const isKnown = (place: number) => lossOf({ place, seed: 0 }) !== undefined;
  const all = [...places];
  while (isKnown(all[0]! - 1)) all.unshift(all[0]! - 1);
  while (isKnown(all.at(-1)! + 1)) all.push(all.at(-1)! + 1);
  return all;
}

/** The place to add next: beyond the end at which the best one lies, or below everything where nothing is finite. */
function beyond(
  { places, extensions }: Grid,
  all: readonly number[],
  best: number | undefined,
): number | undefined {
  if (all.length - places.length >= extensions) return undefined;
  if (best === undefined || best === all[0]) return all[0]! - 1;
  return best === all.at(-1) ? best + 1 : undefined;
}

function lowest(places: readonly number[], lossOf: (spot: Spot) => number | undefined): number | undefined {
  let [best, least] = [undefined as number | undefined, Number.POSITIVE_INFINITY];
  for (const place of places) {
    const loss = meanLoss(place, lossOf);
    if (loss < least) [best, least] = [place, loss];
  }
  return best;
}

/** Over the seeds that have ended. */
function meanLoss(place: number, lossOf: (spot: Spot) => number | undefined): number {
  const losses: number[] = [];
  for (let seed = 0; ; seed++) {
    const loss = lossOf({ place, seed });
    if (loss === undefined) break;
    losses.push(loss);
  }
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}
