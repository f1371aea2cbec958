import { type Arm, nameOfLine, SEED, tunesRates } from '../analysis/arms.js';
import type { Analysis, ViewAnalysis } from '../analysis.js';
import type { AxisValue } from '../records.js';
import { contextOf, placeText } from './context.js';
import { list, plural, rate } from './format.js';

const CHOSEN =
  'The best lr is chosen by the same runs that are compared, so that every best loss is a little too low, the more so ' +
  'the finer its grid and the fewer its seeds.';

/** What a study does not show, from its data. */
export function limitsOf(analysis: Analysis): string[] {
  const { study, roles } = analysis;
  const tuned = analysis.views.filter(({ arms }) => tunesRates(arms));
  return [
    ...remainingLimit(analysis),
    ...missingLimit(analysis),
    ...edgeLimits(analysis),
    ...statusLimits(analysis),
    ...study.notes,
    ...seedLimits(analysis),
    ...(roles.xs.includes('batch') && analysis.critical.length === 0
      ? ['No critical batch: no checkpoint has a finished branch of factor 1.']
      : []),
    ...(roles.line !== undefined ? tuned.flatMap(rankingLimit) : []),
    'Intervals are over seeds alone: the model, the text and the held-out text are the same in every run, and another ' +
      `model or text may say otherwise${study.teacher ? '; so may another teacher' : ''}.`,
    ...(tuned.length > 0 ? [CHOSEN] : []),
  ];
}

const rankingLimit = ({ view, fairest }: ViewAnalysis): string[] =>
  fairest === undefined
    ? [
        `No ranking at one fixed lr, at equal ${view}: no two lines have one in common at one place, with an optimum each.`,
      ]
    : [];

const remainingLimit = ({ study: { remaining, cells } }: Analysis): string[] =>
  remaining > 0
    ? [
        `The study is not finished: ${plural(cells.length, 'cell')} ended, ${plural(remaining, 'is', 'are')} still to be run.`,
      ]
    : [];

/** Places of the axes, but lr and seed, that have no finished run in the first view. */
function missingLimit({ study, views, varied, roles }: Analysis): string[] {
  const [view] = views;
  if (view === undefined || varied.length === 0) return [];
  const has = (name: string, value: AxisValue) =>
    view.arms.some(({ axes, tuned }) => tuned.size > 0 && axes[name] === value);
  const empty = varied.flatMap((name) =>
    study.axes[name]!.filter((value) => !has(name, value)).map((value) =>
      name === roles.line ? nameOfLine(roles, { [name]: value }) : `${name} ${value}`,
    ),
  );
  const full = varied.reduce((product, name) => product * study.axes[name]!.length, 1);
  const there = view.arms.filter(({ tuned }) => tuned.size > 0).length;
  const nothing = empty.length > 0 ? ` Nothing finished at ${list(empty)}.` : '';
  return there < full
    ? [`Of ${full} combinations of ${list(varied)}, ${there} have a finished run.${nothing}`]
    : [];
}

function edgeLimits(analysis: Analysis): string[] {
  return analysis.views.flatMap((view) => {
    const context = contextOf(analysis, view);
    const at = (side: 'lowest' | 'highest') =>
      view.arms.filter(({ optimum }) => optimum.kind === 'edge' && optimum.side === side);
    return (['lowest', 'highest'] as const).flatMap((side) => {
      const arms = at(side);
      if (arms.length === 0) return [];
      const names = arms.map((arm) => `${placeText(context, arm)} (${rate(rateOf(arm))})`);
      return [
        `No optimum inside the grid of learning rates, the ${side} is best, at equal ${view.view}: ${names.join('; ')}. ` +
          `These are not compared, and their best loss may be lower.`,
      ];
    });
  });
}

const rateOf = ({ optimum }: Arm): number => ('lr' in optimum ? optimum.lr : Number.NaN);

function statusLimits({ study: { cells } }: Analysis): string[] {
  const diverged = cells.filter(({ status }) => status === 'diverged').length;
  const failed = cells.filter(({ status }) => status === 'failed');
  const reasons = [...new Set(failed.map(({ reason }) => reason ?? 'no reason given'))];
  return [
    ...(diverged > 0
      ? [
          `${plural(diverged, 'run')} diverged: they bound the learning rates from above, and are in the table of cells.`,
        ]
      : []),
    ...(failed.length > 0
      ? [
          `${plural(failed.length, 'run')} failed and ${failed.length === 1 ? 'is' : 'are'} in no statistic: ${reasons.slice(0, 3).join('; ')}${reasons.length > 3 ? '; ...' : ''}`,
        ]
      : []),
  ];
}

function seedLimits({ views, study: { axes } }: Analysis): string[] {
  const arms = views.flatMap((view) => view.arms).filter(({ tuned }) => tuned.size > 0);
  const single = arms.filter(({ tuned }) => tuned.size === 1).length;
  const seeds = axes[SEED]?.length ?? 1;
  const few = arms.filter(({ tuned }) => tuned.size > 1 && tuned.size < seeds).length;
  return [
    ...(single > 0
      ? [
          `${single} of ${plural(arms.length, 'result')} ${single === 1 ? 'has' : 'have'} one seed: no spread is known there, and nothing is compared.`,
        ]
      : []),
    ...(few > 0
      ? [
          `${few} of ${plural(arms.length, 'result')} ${few === 1 ? 'lacks' : 'lack'} some of the ${seeds} seeds.`,
        ]
      : []),
    ...(seeds > 1 && seeds < 5
      ? [`With ${seeds} seeds, intervals are wide: only large differences can be shown.`]
      : []),
  ];
}
