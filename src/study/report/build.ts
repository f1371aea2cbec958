import { comparedMeasures } from '../analysis/compare.js';
import type { Analysis, ViewAnalysis } from '../analysis.js';
import { TOLERANCES } from '../analysis.js';
import type { CellRecord, StudyRecord } from '../records.js';
import { axesText, type Context, contextOf, placeText } from './context.js';
import { numberCell, type Plot, type Report, type Section, type Table } from './document.js';
import { findingsOf } from './findings.js';
import { duration, nats, plural, rate, short } from './format.js';
import { limitsOf } from './limits.js';
import { measureAgainst, rankings, toTarget } from './plots/outcomes.js';
import { bestRateAgainst, lossAgainstRate, sharpnessAgainstRate } from './plots/rates.js';
import { branchPlot, criticalPlot, dynamicsPlot, learningCurves } from './plots/training.js';
import { tablesOf } from './tables.js';

/** Puts a report together: findings and limits first, then a section for each view, then all cells. */
export function buildReport(analysis: Analysis): Report {
  const { study, views } = analysis;
  return {
    title: study.name,
    lead: leadOf(study),
    sections: [
      summaryOf(analysis),
      { ...empty, title: 'What this study does not show', points: limitsOf(analysis) },
      ...views.map((view) => viewSection(analysis, view)),
      ...criticalSection(analysis),
      { ...empty, title: 'Cells', text: [CELLS_TEXT], tables: [cellTable(study)] },
      { ...empty, title: 'How the numbers are made', points: METHODS },
    ],
    config: JSON.stringify(study.config, null, 2),
  };
}

const empty = { text: [], points: [], plots: [], tables: [] } as const satisfies Omit<Section, 'title'>;

const CELLS_TEXT =
  'Every run that ended. Loss is that on the held-out text at its end; the command makes the run again, alone. ' +
  'cells.csv and cells.json have the same rows with all measures.';

const VIEW_TEXTS = {
  tokens: 'All runs see the same number of tokens, so that larger batches take fewer steps.',
  steps:
    'All runs take the same number of steps, so that larger batches see more tokens: a second view, not the main one.',
} as const;

const METHODS = [
  'Equal tokens: runs of every batch size see the same documents in the same order. Equal steps is the other view.',
  'The best lr of a row of the grid is that of the lowest mean loss. It counts only inside the grid: an edge is never a best. The parabola through it and its two neighbours, in log lr and seed by seed, refines it. A neighbour at which runs diverged bounds it, too, without refining it.',
  'Where rates have different seeds, means are those of the additive model loss = lr + seed.',
  "Intervals are 95 %, of Student's t over seeds; differences are paired by seed. 'No difference shown' means that the interval holds 0, not that there is no difference.",
  `A valley is where the mean loss stays within ${TOLERANCES.valley * 100} % of its lowest, linear in log lr. A critical batch is within ${TOLERANCES.branch} nats per token of the branch of factor 1.`,
];

function leadOf({ cells, remaining, seconds, machine, version }: StudyRecord): string {
  const count = (status: CellRecord['status']) => cells.filter((cell) => cell.status === status).length;
  const counts = [
    `${plural(count('done'), 'run')} done`,
    `${count('diverged')} diverged`,
    `${count('failed')} failed`,
    `${remaining} to be run`,
  ];
  return `${counts.join(', ')}; ${duration(seconds)} on ${machine}, rivulet ${version}.`;
}

/** Of the first view, equal tokens where there is one. */
function summaryOf(analysis: Analysis): Section {
  const [view] = analysis.views;
  const { base, teacher } = analysis.study;
  const losses = [
    ...(base.nll === undefined
      ? []
      : [`The model without training has a held-out loss of ${nats(base.nll)} nats per token`]),
    ...(teacher?.nll === undefined ? [] : [`the teacher one of ${nats(teacher.nll)}`]),
  ];
  const best = view && bestOf(contextOf(analysis, view));
  const text = [...(losses.length > 0 ? [`${losses.join(', ')}.`] : []), ...(best ? [best] : [])];
  const points = view ? findingsOf(contextOf(analysis, view)) : [];
  const nothing = points.length === 0 ? ['Nothing can be compared yet.'] : [];
  return {
    ...empty,
    title: `What it shows${view ? `, at equal ${view.view}` : ''}`,
    text: [...text, ...nothing],
    points,
  };
}

/** The lowest loss of all, said as what it is. */
function bestOf(context: Context): string | undefined {
  const tuned = context.view.arms.flatMap((arm) => {
    const losses = [...arm.tuned.values()].map(({ measures }) => measures.nll!);
    return losses.length === 0
      ? []
      : [{ arm, mean: losses.reduce((a, b) => a + b) / losses.length, n: losses.length }];
  });
  if (tuned.length === 0) return undefined;
  const { arm, mean, n } = tuned.reduce((best, other) => (other.mean < best.mean ? other : best));
  const at = 'lr' in arm.optimum ? `, lr ${rate(arm.optimum.lr)}` : '';
  return `The lowest mean is ${nats(mean)} (${placeText(context, arm)}${at}; ${plural(n, 'seed')}); whether others are worse is below.`;
}

const isThere = <T>(value: T | undefined): value is T => value !== undefined;

function viewSection(analysis: Analysis, view: ViewAnalysis): Section {
  const context = contextOf(analysis, view);
  const { xs } = analysis.roles;
  const plots: (Plot | undefined)[] = [
    lossAgainstRate(context),
    ...xs.flatMap((x) => [
      ...comparedMeasures(view.arms)
        .slice(0, 1)
        .map((measure) => measureAgainst(context, x, measure)),
      bestRateAgainst(context, x),
    ]),
    rankings(context),
    toTarget(context),
    learningCurves(context),
    ...xs.flatMap((x) =>
      comparedMeasures(view.arms)
        .slice(1)
        .map((measure) => measureAgainst(context, x, measure)),
    ),
    dynamicsPlot(context),
    sharpnessAgainstRate(context),
    branchPlot(context),
    criticalPlot(context),
  ];
  const isMain = view === analysis.views[0];
  return {
    title: `Equal ${view.view}`,
    text: [xs.includes('batch') ? VIEW_TEXTS[view.view] : `All runs see the same number of ${view.view}.`],
    points: isMain ? [] : findingsOf(context),
    plots: plots.filter(isThere),
    tables: tablesOf(context),
  };
}

function criticalSection({ critical }: Analysis): Section[] {
  if (critical.length === 0) return [];
  const table: Table = {
    title: 'Critical batch by branches',
    caption:
      `The largest batch up to which every branch stays within ${TOLERANCES.branch} nats per token of the branch of factor 1, and ` +
      'the next that was tried. One seed each: no interval but that of the grid.',
    columns: [
      { name: 'run' },
      { name: 'step', numeric: true },
      { name: 'tokens before', numeric: true },
      { name: 'within, factor', numeric: true },
      { name: 'not within, factor', numeric: true },
      { name: 'within, tokens per step', numeric: true },
      { name: 'losses by factor' },
    ],
    rows: critical.map(({ axes, step, tokens, within, beyond, batchTokens, branches }) => [
      axesText(axes),
      numberCell(step, String),
      numberCell(tokens, short),
      numberCell(within, String),
      beyond === undefined ? 'none tried' : numberCell(beyond, String),
      numberCell(within * batchTokens, (value) => Math.round(value).toLocaleString('en')),
      branches
        .map(({ factor, nll }) => `${factor}: ${Number.isFinite(nll) ? nats(nll) : 'diverged'}`)
        .join(', '),
    ]),
  };
  return [{ ...empty, title: 'Critical batch', tables: [table] }];
}

function cellTable({ cells, axes }: StudyRecord): Table {
  const names = Object.keys(axes);
  return {
    title: `All ${plural(cells.length, 'cell')}`,
    caption: 'Diverged and failed ones included.',
    columns: [
      { name: 'status' },
      { name: 'view' },
      ...names.map((name) => ({ name, numeric: axes[name]!.every((value) => typeof value === 'number') })),
      { name: 'branch' },
      { name: 'loss', numeric: true },
      { name: 'steps', numeric: true },
      { name: 'seconds', numeric: true },
      { name: 'command' },
    ],
    rows: cells.map(({ status, reason, view, axes: place, branch, measures, steps, seconds, command }) => [
      reason === undefined ? status : `${status}: ${reason}`,
      view,
      ...names.map((name) => {
        const value = place[name];
        if (typeof value !== 'number') return value ?? '';
        return { text: name === 'lr' ? rate(value) : String(value), sort: value };
      }),
      branch === undefined ? '' : `${branch.factor} x from ${branch.from} step ${branch.step}`,
      numberCell(measures.nll, nats),
      numberCell(steps, String),
      numberCell(seconds, short),
      command,
    ]),
  };
}
