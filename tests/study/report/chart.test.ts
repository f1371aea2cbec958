import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { drawSvg, type Panel, type Point, type Scale, setApart } from '#src/study/report/chart.js';
import { quantityScale, rateScale, valleyScale, valueScale } from '#src/study/report/scales.js';

const test = suite('study: charts');

const SHAPE = 'M0,-1L1,1L-1,1Z';
const lineOf = (color: string, points: readonly Point[]) => ({ style: { color, shape: SHAPE }, points });
const at = (xs: readonly number[]): Point[] => xs.map((x) => ({ x, y: 1 }));

const panelOf = (series: Panel['series'], y: Scale = quantityScale('y', [0, 2])): Panel => ({
  title: '',
  x: valueScale('x', [1, 2, 4, 8]),
  y,
  series,
});

const marksOf = (svg: string, color: string) =>
  svg.match(new RegExp(`<path[^>]*(?:fill|stroke)="${color}"`, 'g'))?.length ?? 0;

test('every point is drawn, hollow ones and those beyond the edge too', async () => {
  const points: Point[] = [
    { x: 1, y: 1, low: 0.5, high: 1.5 },
    { x: 2, y: 1, open: true },
    { x: 4, y: 100 },
    { x: 8, y: Number.POSITIVE_INFINITY },
  ];
  const svg = await drawSvg(
    panelOf([{ ...lineOf('red', points), style: { color: 'red', shape: SHAPE, line: false } }]),
  );
  assert.is(marksOf(svg, 'red'), 4);
  assert.match(svg, /<line[^>]*stroke="red"/, 'a bar');
  assert.match(svg, /fill="var\(--paper\)"/, 'a hollow one');
});

test('a panel without points is drawn with its axes', async () => {
  assert.match(await drawSvg(panelOf([])), />x</);
});

test('names of axes are text', async () => {
  const svg = await drawSvg({ ...panelOf([]), x: valueScale('<b>&"', [1, 2]) });
  assert.match(svg, /&lt;b&gt;&amp;"|&lt;b&gt;&amp;&quot;/);
});

test('lines are set apart by less than half of the way to the next place', () => {
  const xs = [1, 2, 4, 8];
  const panel = setApart(panelOf(Array.from({ length: 12 }, (_, i) => lineOf(`c${i}`, at(xs)))));
  xs.forEach((x, place) => {
    const shifted = panel.series.map(({ points }) => Math.log2(points[place]!.x / x));
    assert.is(new Set(shifted).size, 12);
    for (const by of shifted) assert.ok(Math.abs(by) < 0.25);
    assert.ok(Math.abs(shifted.reduce((sum, by) => sum + by, 0)) < 1e-9);
  });
  const one = panelOf([lineOf('red', at(xs))]);
  for (const [i, { x }] of setApart(one).series[0]!.points.entries()) assert.ok(Math.abs(x - xs[i]!) < 1e-9);
});

test('axes are logarithmic where values span a factor of 4, with a tick at each', () => {
  assert.equal(valueScale('batch', [64, 4, 16, 16]).ticks, [4, 16, 64]);
  assert.is(valueScale('batch', [4, 16]).log, true);
  assert.is(valueScale('alpha', [0, 0.5, 1]).log, false);
  assert.ok(
    valueScale(
      'batch',
      Array.from({ length: 30 }, (_, i) => 2 ** i),
    ).ticks!.length <= 8,
  );
});

test('ticks of rates are round', () => {
  assert.equal(rateScale('lr', [1e-4, 1e-2]).ticks, [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]);
  assert.equal(rateScale('lr', [1e-5, 1e-1]).ticks, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
  assert.ok(rateScale('lr', [2e-4, 2e-4]).ticks!.length > 0);
});

test('rates far too high leave room for the valley', () => {
  const losses = [2, 2.1, 2.2, 2.3, 2.4, 50, 80].map((y, x) => ({ x, y }));
  const [low, high] = valleyScale('loss', [lineOf('red', losses)]).domain;
  assert.ok(low < 2 && high > 2.4 && high < 4);
  const equal = valleyScale('loss', [lineOf('red', at([1, 2, 3]))]).domain;
  assert.ok(equal[0] < 1 && equal[1] > 1);
  const none = valleyScale('loss', [lineOf('red', [{ x: 1, y: Number.POSITIVE_INFINITY }])]).domain;
  assert.ok(none.every(Number.isFinite) && none[0] < none[1]);
});

test.run();
