import type { TopLevelSpec } from 'vega-lite';

/** One kind of picture, for all that a report draws: series of points over x, drawn by vega-lite as SVG. */

export interface Scale {
  readonly title: string;
  readonly log?: boolean;
  /** Values of the ticks; left out, they are chosen. */
  readonly ticks?: readonly number[];
  /** d3 format of the ticks. */
  readonly format?: string;
  readonly domain: readonly [low: number, high: number];
}

/** How a series looks: its colour by a CSS variable, so that one picture serves light and dark, and its shape. */
export interface Style {
  readonly color: string;
  /** Path of its points inside -1 .. 1; absent for lines without points. */
  readonly shape?: string;
  readonly dash?: boolean;
  readonly line?: boolean;
}

export interface Point {
  readonly x: number;
  /** Infinite for what diverged: a cross at the upper edge. */
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  /** Drawn hollow: not a result like the others, the caption says why. */
  readonly open?: boolean;
}

export interface Series {
  readonly style: Style;
  readonly points: readonly Point[];
}

export interface Panel {
  /** Which part of the plot it is; empty for the only one. */
  readonly title: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly series: readonly Series[];
}

const WIDTH = 360;
const HEIGHT = 250;
const POINT_SIZE = 56;
/** Of a long line, points are drawn on this many alone: they tell lines apart. */
const MOST_MARKERS = 8;
const CROSS = 'M-1,-1L1,1M-1,1L1,-1';
const CARET = 'M-0.9,0.5L0,-0.6L0.9,0.5';

/** Between neighbours among lines with bars, as a share of the width: bars must not hide each other. */
const APART = 0.014;

type Layer = Record<string, unknown>;

/** Sets the series of a panel a little apart along x, those with points, and never as far as to the next place. */
export function setApart(panel: Panel): Panel {
  const { domain, log } = panel.x;
  const place = (x: number) => (log ? Math.log(x) : x);
  const value = (at: number) => (log ? Math.exp(at) : at);
  const dotted = panel.series.filter(({ style }) => style.shape !== undefined);
  const places = [...new Set(dotted.flatMap(({ points }) => points.map(({ x }) => place(x))))].sort(
    (a, b) => a - b,
  );
  const gaps = places.slice(1).map((at, i) => at - places[i]!);
  const unit = Math.min(
    APART * (place(domain[1]) - place(domain[0])),
    ...gaps.map((gap) => gap / 2 / dotted.length),
  );
  const series = panel.series.map((one) => {
    if (!dotted.includes(one)) return one;
    const shift = unit * (dotted.indexOf(one) - (dotted.length - 1) / 2);
    return { ...one, points: one.points.map((point) => ({ ...point, x: value(place(point.x) + shift) })) };
  });
  return { ...panel, series };
}

/** Draws panels; vega is loaded with the first one. */
export async function drawSvg(panel: Panel): Promise<string> {
  const [vega, lite] = await Promise.all([import('vega'), import('vega-lite')]);
  const { spec } = lite.compile(specOf(panel));
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

function specOf(panel: Panel): TopLevelSpec {
  const { x, y } = panel;
  const encoding = encodingOf(x, y);
  const empty: Layer = { data: { values: [] }, mark: 'point', encoding };
  const layers = layersOf(panel).map((layer) => ({
    ...layer,
    encoding: { ...encoding, ...LOOKS, ...layer.encoding },
  }));
  return {
    width: WIDTH,
    height: HEIGHT,
    padding: 4,
    background: 'transparent',
    autosize: { type: 'fit', contains: 'padding' },
    layer: [empty, ...layers],
    config: {
      aria: false,
      font: 'system-ui, sans-serif',
      view: { stroke: 'var(--grid)' },
      axis: {
        labelColor: 'var(--ink)',
        titleColor: 'var(--ink)',
        domainColor: 'var(--muted)',
        tickColor: 'var(--muted)',
        gridColor: 'var(--grid)',
        labelFontSize: 12,
        titleFontSize: 12.5,
        titleFontWeight: 'normal',
        labelFlush: false,
        labelOverlap: 'greedy',
        labelSeparation: 4,
      },
    },
  } as unknown as TopLevelSpec;
}

const encodingOf = (x: Scale, y: Scale): Layer => ({ x: channel('x', x), y: channel('y', y) });

const channel = (field: 'x' | 'y', { title, log, ticks, format, domain }: Scale): Layer => ({
  field,
  type: 'quantitative',
  scale: { domain, nice: false, ...(log ? { type: 'log' } : { type: 'linear', zero: false }) },
  // The title of y is text of the page above the picture: turned and long, it would squeeze the picture.
  axis: {
    title: field === 'x' ? title : null,
    format: format ?? '~g',
    ...(ticks ? { values: ticks } : { tickCount: 5 }),
  },
});

/** A point with the looks of its series, as the layers' data. */
interface Mark extends Point {
  readonly series: number;
  readonly color: string;
  readonly shape?: string;
}

/** Colours and shapes come with the data. */
const LOOKS: Layer = {
  color: { field: 'color', type: 'nominal', scale: null },
  detail: { field: 'series', type: 'nominal' },
};
const SHAPED: Layer = { shape: { field: 'shape', type: 'nominal', scale: null } };
const DOT = { type: 'point', size: POINT_SIZE, strokeWidth: 1.6, opacity: 1 };

interface MarkLayer {
  readonly data: { readonly values: readonly Mark[] };
  readonly mark: Layer;
  readonly encoding: Layer;
}

/** From the back to the front: bars, lines, points, and what is beyond the upper edge. Empty layers are left out. */
function layersOf({ y, series }: Panel): MarkLayer[] {
  const top = y.domain[1];
  const marks = (
    keep: (style: Style) => boolean,
    pick: (points: readonly Point[]) => readonly Point[],
  ): Mark[] =>
    series.flatMap(({ style, points }, i) =>
      keep(style)
        ? pick(points).map((point) => ({
            ...point,
            series: i,
            color: style.color,
            ...(style.shape && { shape: style.shape }),
          }))
        : [],
    );
  const finite = (points: readonly Point[]) => points.filter((point) => Number.isFinite(point.y));
  const inside = (points: readonly Point[]) => finite(points).filter((point) => point.y <= top);
  const atTop = (points: readonly Point[]) => points.map(({ x }) => ({ x, y: top }));
  const hasLine = ({ line }: Style) => line !== false;
  const hasShape = ({ shape }: Style) => shape !== undefined;
  const dots = marks(hasShape, (points) => markersOf(inside(points)));
  const above = marks(hasShape, (points) => atTop(finite(points).filter((point) => point.y > top)));
  const diverged = marks(hasShape, (points) =>
    atTop(points.filter((point) => point.y === Number.POSITIVE_INFINITY)),
  );
  const line = { type: 'line', clip: true };
  const layers: readonly (readonly [values: readonly Mark[], mark: Layer, encoding: Layer])[] = [
    [
      marks(
        () => true,
        (points) => barsOf(inside(points), y),
      ),
      { type: 'rule', strokeWidth: 1.4, clip: true },
      BARS,
    ],
    [marks((style) => hasLine(style) && !style.dash, finite), { ...line, strokeWidth: 1.8 }, {}],
    [
      marks((style) => hasLine(style) && style.dash === true, finite),
      { ...line, strokeWidth: 1.4, strokeDash: [5, 4] },
      {},
    ],
    [dots.filter(({ open }) => !open), { ...DOT, filled: true }, SHAPED],
    [dots.filter(({ open }) => open), { ...DOT, fill: 'var(--paper)' }, SHAPED],
    [above, { ...DOT, shape: CARET, fill: null }, {}],
    [diverged, { ...DOT, shape: CROSS, fill: null }, {}],
  ];
  return layers.flatMap(([values, mark, encoding]) =>
    values.length > 0 ? [{ data: { values }, mark, encoding }] : [],
  );
}

const BARS: Layer = { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } };

/** Bars, held inside the picture: a logarithm has no place for what is not positive. */
const barsOf = (points: readonly Point[], { domain: [bottom, top] }: Scale): Point[] =>
  points.flatMap((point) =>
    point.low === undefined || point.high === undefined
      ? []
      : [{ ...point, low: Math.max(bottom, point.low), high: Math.min(top, point.high) }],
  );

const markersOf = (points: readonly Point[]): Point[] => {
  const stride = Math.ceil(points.length / MOST_MARKERS);
  return points.length <= 2 * MOST_MARKERS
    ? [...points]
    : points.filter((_, i) => i % stride === stride >> 1);
};
