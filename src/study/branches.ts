import { InputError } from '../base/errors.js';
import { nearestName } from '../base/nearestName.js';
import { camelCase } from '../formats/configFile.js';
import type { StudyConfig } from './config.js';
import { type Line, placeOf } from './lines.js';

/** Where branches begin: in which lines, at which checkpoints, at which batch sizes. */

/** How far rounding may take a product of a factor from the whole number that it is. */
const ROUNDING = 1e-9;

/** Whether the best cell of a line branches. */
export function branchesIn({ branches }: StudyConfig, { axes }: Line): boolean {
  if (branches === undefined) return false;
  const at = (name: string) => axes[Object.hasOwn(axes, name) ? name : camelCase(name)];
  return Object.entries(branches.where).every(([name, value]) => at(name) === value);
}

/** Steps of a line's cells after which branches begin. */
export function branchSteps({ branches, checkpoints }: StudyConfig, { steps }: Line): number[] {
  const every = Math.ceil(steps / checkpoints);
  const at = branches!.at ?? Array.from({ length: checkpoints - 1 }, (_, i) => i + 1);
  return at.map((number) => number * every).filter((step) => step < steps);
}

/** Rows of a branch's batch, and steps that it makes on its own. */
export function branchSize(
  { branches }: StudyConfig,
  { batch: rows, sequence }: Line,
  factor: number,
): { readonly batch: number; readonly steps: number } {
  const batch = Math.round(rows * factor);
  return { batch, steps: Math.ceil(branches!.tokens / (batch * sequence)) };
}

/** @throws InputError for branches that no line has, or not as they are asked for */
export function checkBranches(config: StudyConfig, lines: readonly Line[]): void {
  const { branches } = config;
  if (branches === undefined) return;
  const own = lines.filter((line) => branchesIn(config, line));
  if (own.length === 0) throw nowhere(branches.where, lines);
  for (const line of own) {
    for (const factor of branches.factors) checkFactor(line, factor);
    checkCheckpoints(config, line);
  }
  if (own.every((line) => branchSteps(config, line).length === 0)) {
    throw new InputError(
      'branches: expected checkpoints before the end of a cell, found none; raise checkpoints or length',
    );
  }
}

function nowhere(where: NonNullable<StudyConfig['branches']>['where'], lines: readonly Line[]): InputError {
  const axes = [...new Set(lines.flatMap((line) => Object.keys(line.axes)))];
  const unknown = Object.keys(where).find((name) => !axes.includes(name) && !axes.includes(camelCase(name)));
  if (unknown === undefined) {
    const place = Object.entries(where).map(([name, value]) => `${name} ${value}`);
    return new InputError(
      `branches.where: expected the place of a line, found ${place.join(', ')}, which none has; see axes`,
    );
  }
  const nearest = nearestName(unknown, axes);
  const advice = nearest === undefined ? 'see axes' : `did you mean ${nearest}?`;
  return new InputError(`branches.where: unknown axis ${unknown}; ${advice}`);
}

function checkFactor(line: Line, factor: number): void {
  const rows = line.batch * factor;
  const batch = Math.round(rows);
  if (batch >= 1 && Math.abs(rows - batch) <= ROUNDING * rows) return;
  throw new InputError(
    `branches.factors: expected whole batches, found ${factor} times the ${line.batch} rows of ${placeOf(line)}; ` +
      'give another factor',
  );
}

function checkCheckpoints({ branches, checkpoints }: StudyConfig, line: Line): void {
  const last = Math.ceil(line.steps / Math.ceil(line.steps / checkpoints));
  const beyond = branches!.at?.find((number) => number >= last);
  if (beyond === undefined) return;
  throw new InputError(
    `branches.at: expected checkpoints before the last one, which is number ${last} in ${placeOf(line)}, found ${beyond}; ` +
      'leave it out',
  );
}
