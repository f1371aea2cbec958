import { type Arm, comparedAxis, groupBy, measured, RATE, tunesRates } from '../analysis/arms.js';
import { comparedMeasures, type RankingPair } from '../analysis/compare.js';
import { estimate, isBelowLevel } from '../analysis/estimate.js';
import { axesText, type Context, comparedAs, placeText } from './context.js';
import { numberCell, rangeCell, type Table, type TableCell } from './document.js';
import { nats, plural, power, rate, short, signed, times } from './format.js';
import { titleOfMeasure } from './plots/outcomes.js';
import { verdictText } from './verdicts.js';

/** The numbers behind the plots of one view. */

const column = (name: string) => ({ name });
const numeric = (name: string) => ({ name, numeric: true });

/** Names of the axes that vary, but the one that says what a row is of, as columns, and an arm's cells in them. */
const placeColumns = ({ analysis: { varied, roles } }: Context, own: string | undefined = roles.line) =>
  varied
    .filter((name) => name !== own)
    .map((name) => ({
      head: { name, numeric: true },
      cell: ({ axes }: Arm): TableCell => {
        const value = axes[name];
        return typeof value === 'number' ? { text: String(value), sort: value } : (value ?? '');
      },
    }));

const nonEmpty = (table: Table): Table[] => (table.rows.length === 0 ? [] : [table]);

export const tablesOf = (context: Context): Table[] =>
  [
    armTable(context),
    comparisonTable(context),
    ratioTable(context),
    slopeTable(context),
    sharedTable(context),
    rankingTable(context),
    targetTable(context),
  ].flatMap(nonEmpty);

function bestCells({ optimum, valley }: Arm): TableCell[] {
  if (optimum.kind === 'edge') {
    return [
      { text: `none inside: ${optimum.side} lr, ${rate(optimum.lr)}, is best`, sort: optimum.lr },
      '',
      '',
    ];
  }
  if (optimum.kind !== 'inside') return [optimum.kind === 'none' ? 'no run finished' : 'not tuned', '', ''];
  const { best, lr } = optimum;
  const width = valley && valley.high / valley.low;
  const isOpen = valley && (valley.open.low || valley.open.high);
  return [
    { text: rate(best.mean), sort: best.mean },
    optimum.refined ? rangeCell(best.interval, rate) : `grid point ${rate(lr)}: runs diverged beside it`,
    width === undefined ? '' : { text: `${isOpen ? 'at least ' : ''}${times(width)}`, sort: width },
  ];
}

function armTable(context: Context): Table {
  const places = placeColumns(context);
  const { analysis, view } = context;
  const measures = ['bits_per_byte', ...comparedMeasures(view.arms).slice(1)].filter((name) =>
    view.arms.some((arm) => measured(arm, name).size > 0),
  );
  const { line } = analysis.roles;
  const tunesRate = tunesRates(view.arms);
  return {
    title: tunesRate ? 'Best learning rates and what they reach' : 'Results',
    caption:
      'Loss and other measures are means over seeds; the s.d. is that of the loss. ' +
      (tunesRate
        ? 'The valley is the ratio of the highest to the lowest lr at which the mean loss stays within 1 % of the lowest. '
        : '') +
      'Diverged and failed count all runs of the row, at any lr.',
    columns: [
      column(line ?? 'runs'),
      ...places.map(({ head }) => head),
      ...(tunesRate ? [numeric('best lr'), numeric('95 % interval'), numeric('valley')] : []),
      numeric('loss'),
      numeric('s.d.'),
      numeric('seeds'),
      ...measures.map((name) => numeric(titleOfMeasure(name))),
      numeric('diverged'),
      numeric('failed'),
    ],
    rows: view.arms.map((arm) => {
      const loss = estimate([...measured(arm, 'nll').values()]);
      const count = (status: string) => arm.cells.filter((cell) => cell.status === status).length;
      return [
        arm.line,
        ...places.map(({ cell }) => cell(arm)),
        ...(tunesRate ? bestCells(arm) : []),
        numberCell(loss?.mean, nats),
        numberCell(loss?.sd, nats),
        numberCell(loss?.n ?? 0, String),
        ...measures.map((name) => numberCell(estimate([...measured(arm, name).values()])?.mean, nats)),
        numberCell(count('diverged'), String),
        numberCell(count('failed'), String),
      ];
    }),
  };
}

function comparisonTable(context: Context): Table {
  const places = placeColumns(context, comparedAxis(context.analysis.roles));
  const { comparisons } = context.view;
  const tested = comparisons.filter(({ corrected }) => corrected !== undefined).length;
  return {
    title: 'Paired comparisons',
    caption:
      `Differences a - b between runs of the same seed, each at its own best lr, with 95 % intervals of Student's t. ` +
      `${plural(tested, 'comparison was', 'comparisons were')} tested; p is after Holm's correction over all of them.`,
    columns: [
      column('measure'),
      column('a'),
      column('b'),
      ...places.map(({ head }) => head),
      numeric('a - b'),
      numeric('95 % interval'),
      numeric('pairs'),
      numeric('p (Holm)'),
      column('what it shows'),
    ],
    rows: comparisons.map(({ measure, a, b, difference, corrected, verdict }) => [
      titleOfMeasure(measure),
      comparedAs(context, a),
      comparedAs(context, b),
      ...places.map(({ cell }) => cell(a)),
      numberCell(difference?.mean, signed),
      rangeCell(difference?.interval, signed),
      numberCell(difference?.n ?? 0, String),
      numberCell(corrected, short),
      verdictText(verdict, isBelowLevel(corrected)),
    ]),
  };
}

function ratioTable(context: Context): Table {
  const places = placeColumns(context);
  return {
    title: 'Ratios of best learning rates',
    caption:
      'Best lr of a over that of b, the geometric mean over seeds of the ratio of the vertices of their parabolas, with ' +
      'its 95 % interval. Only where both have an optimum inside the grid.',
    columns: [
      column('a'),
      column('b'),
      ...places.map(({ head }) => head),
      numeric('ratio'),
      numeric('95 % interval'),
      numeric('pairs'),
    ],
    rows: context.view.ratios.map(({ a, b, ratio }) => [
      a.line,
      b.line,
      ...places.map(({ cell }) => cell(a)),
      numberCell(ratio.mean, times),
      rangeCell(ratio.interval, times),
      numberCell(ratio.n, String),
    ]),
  };
}

function slopeTable({ view }: Context): Table {
  return {
    title: 'How the best learning rate grows',
    caption:
      'Least-squares slope of log best lr on the log of the axis, with a 95 % interval from the scatter around the line; ' +
      '0.5 is the square root rule, 1 the linear one.',
    columns: [
      column('line'),
      column('over'),
      column('where'),
      numeric('slope'),
      numeric('95 % interval'),
      numeric('points'),
    ],
    rows: view.slopes.map(({ line, x, facet, slope, interval, n }) => [
      line,
      x,
      axesText(facet.axes),
      numberCell(slope, power),
      rangeCell(interval, power),
      numberCell(n, String),
    ]),
  };
}

function sharedTable(context: Context): Table {
  const { view, x } = context;
  const where = ({ over, arms }: (typeof view.shared)[number]): string => {
    if (over === 'all') return 'everything but the control';
    if (over === 'lines') return `all lines, ${placeText(context, arms[0]!, false)}`;
    return `${arms[0]!.line}, every ${x}`;
  };
  return {
    title: 'What one shared learning rate costs',
    caption:
      `Regret: mean loss at the shared lr less the lowest of the grid, in nats per token. The shared lr is the one of ` +
      `least mean regret that all of the row have; only rows of the same grid can be compared.`,
    columns: [
      column('shared by'),
      numeric(`shared ${RATE}`),
      numeric('mean regret'),
      numeric('worst regret'),
      column('worst at'),
      numeric('tuned optima'),
      column('note'),
    ],
    rows: view.shared.map((row) => [
      where(row),
      numberCell(row.shared.lr, rate),
      numberCell(row.shared.meanRegret, nats),
      numberCell(row.shared.worstRegret, nats),
      placeText(context, row.shared.worst),
      numberCell(row.shared.arms, String),
      row.shared.atEdge ? 'at an edge of the rates that all have' : '',
    ]),
  };
}

/** Of one pair, where the first is ahead, behind or neither. */
function placesBy(context: Context, pairs: readonly RankingPair[]): string[] {
  const at = (wanted: readonly string[]): string =>
    pairs
      .filter(({ fixed }) => wanted.includes(fixed.verdict))
      .map(({ a }) => placeText(context, a, false))
      .join('; ');
  return [
    at(['lower', 'b diverged']),
    at(['higher', 'a diverged']),
    at(['none', 'both diverged']),
    at(['one seed']),
  ];
}

function rankingTable(context: Context): Table {
  const { rankings } = context.view;
  return {
    title: 'Rankings at each fixed learning rate',
    caption:
      'Where the loss of a is lower or higher than that of b at this one lr for all; intervals are paired by seed and ' +
      'not corrected for their number. A run that diverged is the worse one.',
    columns: [
      numeric('lr'),
      ...['a', 'b', 'a lower', 'a higher', 'no difference shown', 'one seed'].map(column),
    ],
    rows: rankings.flatMap(({ lr, pairs }) =>
      [...groupBy(pairs, ({ a, b }) => JSON.stringify([a.line, b.line])).values()].map((group) => [
        numberCell(lr, rate),
        group[0]!.a.line,
        group[0]!.b.line,
        ...placesBy(context, group),
      ]),
    ),
  };
}

function targetTable(context: Context): Table {
  const places = placeColumns(context);
  return {
    title: 'Tokens and steps to a target',
    caption: 'Means over seeds, s.d. beside them; linear between evaluations.',
    columns: [
      column(context.analysis.roles.line ?? 'runs'),
      ...places.map(({ head }) => head),
      numeric('target (nats per token)'),
      numeric('tokens'),
      numeric('s.d. of tokens'),
      numeric('steps'),
      numeric('seeds that reach it'),
    ],
    rows: context.view.targets.flatMap(({ nll, reached }) =>
      reached.map(({ arm, tokens, steps, seeds }) => [
        arm.line,
        ...places.map(({ cell }) => cell(arm)),
        numberCell(nll, nats),
        numberCell(tokens.mean, (value) => Math.round(value).toLocaleString('en')),
        numberCell(tokens.sd, (value) => Math.round(value).toLocaleString('en')),
        numberCell(steps.mean, short),
        { text: `${tokens.n} of ${seeds}`, sort: tokens.n },
      ]),
    ),
  };
}
