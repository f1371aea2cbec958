import type { Panel, Scale, Series } from './chart.js';

/** Axes that fit what is drawn. */

const LOG_FROM = 4;
const MOST_TICKS = 8;

const isPlain = (value: number): boolean => Number.isFinite(value);

/** Logarithmic as far as the values are positive and span a factor of 4. */
export const isLog = (values: readonly number[]): boolean =>
  Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= LOG_FROM;

/** Around all values, with room for marks. */
function domainOf(values: readonly number[], log: boolean): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) {
    const room = low === high ? 2 : (high / low) ** 0.06;
    return [low / room, high * room];
  }
  const room = low === high ? Math.abs(low) * 0.05 || 1 : (high - low) * 0.06;
  return [low - room, high + room];
}

/** An axis of a study's numbers: a tick at each, as far as there is room. */
export function valueScale(title: string, values: readonly number[]): Scale {
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const log = isLog(distinct);
  const stride = Math.ceil(distinct.length / MOST_TICKS);
  return {
    title,
    log,
    domain: domainOf(distinct, log),
    ticks: distinct.filter((_, i) => i % stride === 0),
    format: Math.max(...distinct) >= 1e4 ? '.4~s' : '.6~g',
  };
}

/** Ticks of a logarithmic axis: powers of 10, with 3 or with 2 and 5 between them where there is room. */
function logTicks([low, high]: readonly [number, number]): number[] {
  const span = Math.log10(high / low);
  const steps =
    span > 3 ? [1] : span > 1.3 ? [1, 3] : span > 0.6 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const first = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.ceil(span) + 2 }, (_, i) => first + i);
  return decades
    .flatMap((d) => steps.map((step) => Number((step * 10 ** d).toPrecision(3))))
    .filter((tick) => tick >= low && tick <= high);
}

/** Learning rates, logarithmic. */
export const rateScale = (title: string, rates: readonly number[]): Scale => {
  const domain = domainOf(rates, true);
  return { title, log: true, domain, format: '.1~e', ticks: logTicks(domain) };
};

/** Any other quantity. @param format d3's, of the ticks */
export function quantityScale(title: string, values: readonly number[], log = false, format = '~g'): Scale {
  const finite = values.filter((value) => isPlain(value) && (!log || value > 0));
  const domain = domainOf(finite.length > 0 ? finite : [1], log);
  return { title, log, format, domain, ...(log && { ticks: logTicks(domain) }) };
}

/** Every y of series, ends of bars included. */
export const heights = (series: readonly Series[]): number[] =>
  series
    .flatMap(({ points }) => points.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]))
    .filter(isPlain);

/**
 * The y axis of losses over learning rates: rates far too high would leave no room for the valley, so it ends above the
 * median by 2.5 times its distance from the lowest; what is higher is drawn at the upper edge.
 */
export function valleyScale(title: string, series: readonly Series[]): Scale {
  const sorted = series
    .flatMap(({ points }) => points.map(({ y }) => y))
    .filter(isPlain)
    .sort((a, b) => a - b);
  const [low = 0, high = 1] = [sorted[0], sorted.at(-1)];
  const median = sorted[sorted.length >> 1] ?? high;
  const top = Math.min(high, median + 2.5 * (median - low));
  return quantityScale(title, [low, top > low ? top : high]);
}

/** Gives panels the same y axis, so that they can be compared. */
export const sameY = (panels: readonly Panel[], scaleOf: (series: readonly Series[]) => Scale): Panel[] => {
  const y = scaleOf(panels.flatMap(({ series }) => series));
  return panels.map((panel) => ({ ...panel, y }));
};
