import { type Arm, besides, CONTROL, comparedAxis, groupBy } from '../analysis/arms.js';
import type { Comparison, RankingPair } from '../analysis/compare.js';
import { isBelowLevel } from '../analysis/estimate.js';
import { type Context, comparedAs, placeText } from './context.js';
import { list, nats, plural, power, range, rate, short, signed, times, withRange } from './format.js';
import { titleOfMeasure } from './plots/outcomes.js';

/** What a view's numbers say, in sentences: every line against the first one but the control; the tables have all pairs. */
export function findingsOf(context: Context): string[] {
  const { comparisons } = context.view;
  const first = firstCompared(context);
  const about = (isWanted: (measure: string) => boolean) =>
    comparisonFindings(
      context,
      comparisons.filter(({ measure, b }) => comparedAs(context, b) === first && isWanted(measure)),
    );
  return [
    ...countFinding(comparisons),
    ...about((measure) => measure === 'nll'),
    ...rankingFindings(context),
    ...ratioFindings(context),
    ...slopeFindings(context),
    ...sharedFindings(context),
    ...about((measure) => measure !== 'nll'),
  ];
}

/** The line that the others are compared with. */
const firstOf = ({ lines }: Context): string | undefined => lines.find((line) => line !== CONTROL);

function firstCompared(context: Context): string | undefined {
  const arm = context.view.arms.find(({ line }) => line !== CONTROL);
  return arm && comparedAs(context, arm);
}

/** Where there is no other axis. */
const ONE_PLACE = 'the one place';

/** Places that a sentence names: of one axis, their values alone. */
const MOST_VALUES = 12;
const MOST_PLACES = 5;

/** `batch 8 and 16`, or `every batch` for all there are; of many places, the first. */
function places(context: Context, arms: readonly Arm[]): string {
  const { analysis, view } = context;
  const compared = comparedAxis(analysis.roles);
  const names = analysis.varied.filter((name) => name !== compared);
  const [axis] = names;
  if (axis === undefined) return ONE_PLACE;
  const isOneAxis = names.length === 1;
  const isAll = arms.length > 2 && arms.length === besides(view.arms, compared).length;
  if (isAll) return isOneAxis ? `every ${axis}` : 'every place';
  const labels = arms.map((arm) => (isOneAxis ? String(arm.axes[axis]) : placeText(context, arm, false)));
  const shown = shortened(labels, isOneAxis ? MOST_VALUES : MOST_PLACES);
  return isOneAxis ? `${axis} ${list(shown)}` : shown.join('; ');
}

/** The first of many, and how many others there are. */
const shortened = (texts: readonly string[], most: number): string[] =>
  texts.length > most + 1
    ? [...texts.slice(0, most), plural(texts.length - most, 'other place')]
    : [...texts];

const pairKey = ({ a, b }: { readonly a: Arm; readonly b: Arm }): string => JSON.stringify([a.line, b.line]);

/** A sentence for every pair that differs somewhere, and one for those that don't and those without pairs, by measure. */
function comparisonFindings(context: Context, comparisons: readonly Comparison[]): string[] {
  return [...groupBy(comparisons, ({ measure }) => measure).values()].flatMap((ofMeasure) => {
    const pairs = [
      ...groupBy(ofMeasure, ({ a, b }) => `${comparedAs(context, a)} ${comparedAs(context, b)}`).values(),
    ];
    const all = (verdicts: readonly string[]) => (pair: readonly Comparison[]) =>
      pair.every(({ verdict }) => verdicts.includes(verdict));
    const alike = pairs.filter(all(['none']));
    const apart = pairs.filter(all(['one seed', 'no pair']));
    const others = pairs.filter((pair) => !alike.includes(pair) && !apart.includes(pair));
    const name = nameOfMeasure(ofMeasure[0]!.measure);
    return [
      ...others.map((pair) => comparisonFinding(context, pair)),
      ...(alike.length > 0
        ? [
            `No difference shown anywhere in ${name} between ${pairNames(context, alike)} (${sizesOf(alike.flat())}).`,
          ]
        : []),
      ...(apart.length > 0
        ? [`${capital(name)} is not compared between ${pairNames(context, apart)}: one seed.`]
        : []),
    ];
  });
}

const pairNames = (context: Context, pairs: readonly (readonly Comparison[])[]): string =>
  pairs.map(([one]) => `${comparedAs(context, one!.a)} and ${comparedAs(context, one!.b)}`).join('; ');

const nameOfMeasure = (measure: string): string => titleOfMeasure(measure).replace(/ \(.*/, '');

const isShown = ({ verdict }: Comparison): boolean => verdict === 'lower' || verdict === 'higher';

/** How many intervals miss 0, and how many would by chance. */
function countFinding(comparisons: readonly Comparison[]): string[] {
  const tested = comparisons.filter(({ corrected }) => corrected !== undefined);
  if (tested.length === 0) return [];
  const shown = tested.filter(isShown);
  const holding = shown.filter(({ corrected }) => isBelowLevel(corrected)).length;
  return [
    `${plural(tested.length, 'comparison was', 'comparisons were')} made, each at 95 %: ${shown.length} show a difference, ` +
      `${short(tested.length / 20)} would by chance if there were none; ${holding} hold after Holm's correction for all of them.`,
  ];
}

function comparisonFinding(context: Context, group: readonly Comparison[]): string {
  const { a, b, measure } = group[0]!;
  const name = nameOfMeasure(measure);
  const [nameA, nameB] = [comparedAs(context, a), comparedAs(context, b)];
  const at = (some: readonly Comparison[]) => {
    const arms = some.map((one) => one.a);
    const where = places(context, arms);
    return where === ONE_PLACE ? '' : ` at ${where}`;
  };
  const of = (verdict: Comparison['verdict']) => group.filter((one) => one.verdict === verdict);
  const parts = (['lower', 'higher'] as const).flatMap((verdict) => {
    const shown = of(verdict);
    return shown.length === 0 ? [] : [`${verdict}${at(shown)} (${sizesOf(shown)})`];
  });
  const none = of('none');
  const apart = group.length - none.length - group.filter(isShown).length;
  if (apart === group.length)
    return `${capital(name)} of ${nameA} and ${nameB}: one seed or none in common, not compared.`;
  const subject = `${capital(name)} of ${nameA} against ${nameB}`;
  const sentences = [
    ...(parts.length > 0 ? [parts.join(', ')] : []),
    ...(none.length > 0 ? [`no difference shown${at(none)} (${sizesOf(none)})`] : []),
    ...(apart > 0 ? [`not compared at ${plural(apart, 'place')}`] : []),
  ];
  return `${subject}: ${sentences.join('; ')}.`;
}

/** The differences of a few, with their intervals; of many, the smallest and the largest mean. */
function sizesOf(some: readonly Comparison[]): string {
  if (some.length <= 2) return some.map(({ difference }) => withRange(difference!, signed)).join('; ');
  const means = some.map(({ difference }) => difference!.mean);
  return `${signed(Math.min(...means))} to ${signed(Math.max(...means))}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Against the first line alone. */
function ratioFindings(context: Context): string[] {
  const first = firstOf(context);
  const groups = groupBy(
    context.view.ratios.filter(({ b }) => b.line === first),
    pairKey,
  );
  return [...groups.values()].map((group) => {
    const { a, b } = group[0]!;
    const each = group.map((one) => {
      const { interval } = one.ratio;
      const holds =
        interval === undefined
          ? ' (one seed)'
          : interval[0] <= 1 && interval[1] >= 1
            ? ' (holds 1: no difference shown)'
            : '';
      return `${times(one.ratio.mean)} at ${placeText(context, one.a, false)} ${range(interval, times)}${holds}`;
    });
    return `The best lr of ${a.line} over that of ${b.line} is ${list(shortened(each, MOST_VALUES))}.`;
  });
}

function slopeFindings({ view }: Context): string[] {
  return view.slopes
    .filter(({ x }) => x === 'batch')
    .map(({ line, slope, interval, n }) => {
      const start = `The best lr of ${line} grows as batch to the power ${power(slope)}`;
      if (!interval) return `${start} (${plural(n, 'batch size')}: no interval).`;
      const holds = interval[0] <= 0.5 && interval[1] >= 0.5;
      return `${start} ${range(interval, power)} over ${plural(n, 'batch size')}: the square root rule lies ${holds ? 'inside' : 'outside'}.`;
    });
}

function rankingFindings(context: Context): string[] {
  const { view } = context;
  const ranking = view.fairest;
  if (ranking === undefined) return [];
  const pairs = ranking.pairs.filter(({ b }) => b.line === firstOf(context));
  return [...groupBy(pairs, pairKey).values()].flatMap((group) => rankingFinding(context, ranking.lr, group));
}

function rankingFinding(context: Context, lr: number, group: readonly RankingPair[]): string[] {
  const { a, b } = group[0]!;
  const where = (side: 'fixed' | 'tuned', ...verdicts: readonly string[]) =>
    group.filter((pair) => verdicts.includes(pair[side].verdict)).map((pair) => pair.a);
  const ahead = where('fixed', 'lower', 'b diverged');
  const behind = where('fixed', 'higher', 'a diverged');
  const [nameA, nameB] = [a.line, b.line];
  if (ahead.length === 0 && behind.length === 0) return [];
  const parts = [
    ...(ahead.length > 0 ? [`better than ${nameB} at ${places(context, ahead)}`] : []),
    ...(behind.length > 0
      ? [`worse${ahead.length > 0 ? '' : ` than ${nameB}`} at ${places(context, behind)}`]
      : []),
  ];
  const single = where('fixed', 'one seed');
  const turns = ahead.length > 0 && behind.length > 0 ? ': the ranking flips' : '';
  const [better, worse] = [where('tuned', 'lower'), where('tuned', 'higher')];
  const tuned = [
    ...(better.length > 0 ? [`it is better at ${places(context, better)}`] : []),
    ...(worse.length > 0 ? [`it is worse at ${places(context, worse)}`] : []),
  ];
  const flips = group.filter((pair) => pair.flips === 'shown').map((pair) => pair.a);
  const sentences = [
    `At one lr for all, ${rate(lr)}, ${nameA} is ${list(parts)}${turns}.`,
    ...(single.length > 0 ? [`Not compared at ${places(context, single)}: one seed.`] : []),
    `Each at its best lr, ${tuned.length === 0 ? 'no difference is shown anywhere' : list(tuned)}.`,
    ...(flips.length > 0 ? [`The two rankings are opposite at ${places(context, flips)}.`] : []),
  ];
  return [sentences.join(' ')];
}

function sharedFindings({ view, x }: Context): string[] {
  const all = view.shared.find(({ over }) => over === 'all');
  const byLine = view.shared.filter(({ over }) => over === 'x');
  return [
    ...(all
      ? [
          `One lr for everything, ${rate(all.shared.lr)}, costs ${nats(all.shared.meanRegret)} nats per token on average ` +
            `and ${nats(all.shared.worstRegret)} at worst, over ${plural(all.shared.arms, 'tuned optimum', 'tuned optima')}.`,
        ]
      : []),
    ...byLine.map(
      ({ arms, shared }) =>
        `One lr for every ${x}, ${rate(shared.lr)}, costs ${arms[0]!.line} ${nats(shared.meanRegret)} on average ` +
        `and ${nats(shared.worstRegret)} at worst.`,
    ),
  ];
}
