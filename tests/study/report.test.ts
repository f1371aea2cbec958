import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CellRecord, StudyRecord } from '#src/study/records.js';
import { reportPaths, writeReport } from '#src/study/report.js';
import { temporaryFolder } from '../support.js';
import {
  axesOf,
  branchesOf,
  SURFACE,
  type Surface,
  studyOf,
  syntheticCell,
  syntheticCells,
} from './syntheticStudy.js';

const test = suite('study: report');

const HOSTILE = '../runs/<b onload="x">\'&amp;</script> |`*_[a](b) адаптер\n,"';

const small: Surface = {
  ...SURFACE,
  starts: [SURFACE.starts[0]!, { ...SURFACE.starts[1]!, name: HOSTILE }, SURFACE.starts[3]!],
  batches: [4, 16, 64],
  rates: SURFACE.rates.filter((lr) => lr > 3e-5 && lr < 4e-2),
};

interface Written {
  readonly html: string;
  readonly markdown: string;
  readonly csv: string;
}

async function write(study: StudyRecord): Promise<Written> {
  const folder = join(temporaryFolder('report'), 'study');
  await writeReport(folder, study);
  const { html, markdown, csv } = reportPaths(folder);
  assert.equal(readdirSync(folder).sort(), ['cells.csv', 'report.html', 'report.md']);
  const [a, b, c] = [html, markdown, csv].map((path) => readFileSync(path, 'utf8'));
  return { html: a!, markdown: b!, csv: c! };
}

/** Everything that a report can show: branches, failed cells, cells still to be run. */
function fullStudy(): StudyRecord {
  const cells = syntheticCells(small);
  const from = cells.find(({ axes, status }) => axes.batch === 16 && axes.lr === 1e-3 && status === 'done')!;
  const failed: CellRecord = {
    ...cells[0]!,
    key: 'failed',
    status: 'failed',
    reason: 'no <memory>',
    measures: {},
  };
  const all = [...cells, ...branchesOf(from, [100, 300], () => 2), failed];
  return studyOf(all, axesOf(small), { name: 'A & <B>', config: { text: '``` <i>' }, remaining: 3 });
}

const VOID = new Set(['meta', 'path', 'line', 'rect', 'br']);

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** All elements of a page, which must nest. Scripts and styles hold text. */
function elementsOf(html: string): Element[] {
  const text = html.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '');
  const open: string[] = [];
  const found: Element[] = [];
  for (const [, close, name, inside, alone] of text.matchAll(
    /<(\/?)([a-z][\w-]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*)\s*(\/?)>/gi,
  )) {
    if (close) {
      assert.is(open.pop(), name);
      continue;
    }
    const pairs = [...inside!.matchAll(/([\w:-]+)(?:="([^"]*)")?/g)].map(([, key, value = '']) => [
      key!,
      value,
    ]);
    found.push({ name: name!, attributes: Object.fromEntries(pairs) });
    if (!alone && !VOID.has(name!)) open.push(name!);
  }
  assert.equal(open, []);
  assert.is(text.replace(/<!doctype html>/, '').match(/<(?![a-z/])/gi), null, 'a < that opens nothing');
  return found;
}

/** RFC 4180. */
function parseCsv(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)!.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  assert.equal(rows.pop(), []);
  return rows;
}

let full: Written;
const study = fullStudy();
test.before(async () => {
  full = await write(study);
});

test('the page nests, and needs nothing from elsewhere', () => {
  const elements = elementsOf(full.html);
  for (const { name, attributes } of elements) {
    assert.is.not(name, 'link');
    assert.is.not(name, 'img');
    for (const key of ['src', 'xlink:href', 'srcset']) assert.is(attributes[key], undefined);
    if (attributes.href !== undefined) assert.match(attributes.href, /^#s\d+$/);
    assert.ok(Object.keys(attributes).every((key) => !key.startsWith('on')));
  }
  assert.not.match(full.html, /https?:|url\((?!#)|@import|fetch\(/);
  const ids = elements.map(({ attributes }) => attributes.id).filter((id) => id !== undefined);
  assert.is(new Set(ids).size, ids.length);
  for (const [, id] of full.html.matchAll(/url\(#([^)]+)\)/g)) assert.ok(ids.includes(id!), id);
});

test('every plot of the protocol is there, with a title and a description', () => {
  const titles = [...full.html.matchAll(/<h3>([^<]*)<\/h3>/g)].map(([, title]) => title);
  assert.equal(titles, [
    'Loss against learning rate',
    'Loss at the best learning rate against batch',
    'Best learning rate against batch',
    'Ranking at one learning rate against ranking at tuned rates',
    'Tokens and steps to a target against batch',
    'Learning curves',
    'Forgetting at the best learning rate against batch',
    'Exact match digits at the best learning rate against batch',
    'What the adapter does to the weights',
    'Sharpness of the start against the best learning rate',
    'Branches: loss after equal tokens at a larger batch',
    'Critical batch and noise scale over training',
  ]);
  const svgs = [...full.html.matchAll(/<svg role="img"[\s\S]*?<\/svg>/g)].map(([svg]) => svg);
  assert.is(svgs.length, 3 + 1 + 1 + 2 + 2 + 3 + 1 + 1 + 8 + 1 + 1 + 3);
  for (const svg of svgs) {
    assert.match(svg, /<title>[^<]+<\/title><desc>[^<]+<\/desc>/);
    assert.match(svg, /<path[^>]* d="M[^"]{20,}/, 'a mark');
    assert.not.match(svg, /NaN|undefined|Infinity/);
  }
  const compared = titles.length - 1;
  assert.is(full.html.match(/<figcaption>[^<]*LoRA scale alpha \/ r: 2\./g)!.length, compared);
});

test('colours are those of the theme, in light and dark', () => {
  const used = new Set([...full.html.matchAll(/var\((--[\w]+)\)/g)].map(([, name]) => name!));
  const [light, dark] = ['color-scheme:light dark;', 'prefers-color-scheme:dark){:root{'].map((start) => {
    const from = full.html.indexOf(start) + start.length;
    return new Set(
      [...full.html.slice(from, full.html.indexOf('}', from)).matchAll(/--[\w]+(?=:)/g)].map(
        ([name]) => name,
      ),
    );
  });
  assert.ok(used.size > 8);
  for (const name of used) assert.ok(light!.has(name) && dark!.has(name), name);
});

/** WCAG's contrast of two colours, such as #aabbcc. */
function contrast(one: string, other: string): number {
  const light = (color: string): number => {
    const hex = color.length === 4 ? color.replace(/[^#]/g, '$&$&') : color;
    const [r, g, b] = [1, 3, 5].map((at) => {
      const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high! + 0.05) / (low! + 0.05);
}

test('lines stand out from the paper, text more so, in both themes', () => {
  const themes = [...full.html.matchAll(/--paper:(#\w+);--ink:(#\w+);--muted:(#\w+);[^}]*/g)];
  assert.is(themes.length, 2);
  for (const [all, paper, ink, muted] of themes) {
    assert.ok(contrast(paper!, ink!) > 7);
    assert.ok(contrast(paper!, muted!) > 4.5);
    const colors = [...all.matchAll(/--(?:line|order)\d:(#\w+)/g)].map(([, color]) => color!);
    assert.is(colors.length, 15);
    for (const color of colors) assert.ok(contrast(paper!, color) > 3, color);
  }
});

test('names are text, whatever is in them', () => {
  assert.not.match(full.html, /<b onload|<i>|<B>|<memory>/);
  assert.match(full.html, /&lt;b onload=&quot;x&quot;&gt;&#39;&amp;amp;&lt;\/script&gt;/);
  assert.match(full.html, /<title>A &amp; &lt;B&gt;<\/title>/);
  assert.is(full.html.match(/<script>/g)!.length, 1);
  assert.match(full.markdown, /\\<b onload="x"\\>'&amp;amp;\\<\/script\\> \\\|\\`\\\*\\_\\\[a\\\]/);
  const tables = full.markdown.split('\n').filter((line) => line.startsWith('|'));
  for (const line of tables) assert.match(line, / \|$/);
  assert.match(full.markdown, /````json\n/);
});

test('tables have heads with scopes, and rows as long as them', () => {
  const tables = [...full.html.matchAll(/<table>([\s\S]*?)<\/table>/g)].map(([, table]) => table!);
  assert.ok(tables.length >= 9);
  for (const table of tables) {
    const columns = table.match(/<th scope="col"/g)!.length;
    const rows = [...table.matchAll(/<tr>(<th scope="row".*?)<\/tr>/gs)].map(([, row]) => row!);
    assert.ok(rows.length > 0);
    for (const row of rows) assert.is(row.match(/<t[dh][ >]/g)!.length, columns);
  }
});

test('the CSV has every cell, and reads back as it was', () => {
  const [head, ...rows] = parseCsv(full.csv);
  assert.is(rows.length, study.cells.length);
  const read = rows.map((row) => {
    assert.is(row.length, head!.length);
    return Object.fromEntries(head!.map((name, i) => [name, row[i]!]));
  });
  study.cells.forEach((cell, i) => {
    const row = read[i]!;
    assert.equal(
      [row.key, row.status, row.command, row.reason],
      [cell.key, cell.status, cell.command, cell.reason ?? ''],
    );
    assert.is(row['axis.start'], cell.axes.start);
    assert.is(Number(row['axis.lr']), cell.axes.lr);
    assert.is(row['branch.factor'], cell.branch ? String(cell.branch.factor) : '');
    for (const [name, value] of Object.entries(cell.measures))
      assert.is(Number(row[`measure.${name}`]), value);
    assert.is(row['measure.nll'] === '', cell.measures.nll === undefined);
    assert.is(Number(row.seconds), cell.seconds);
  });
});

test('what is missing, diverged, failed or at an edge is said', () => {
  for (const text of [full.html, full.markdown]) {
    assert.match(text, /3 to be run/);
    assert.match(text, /3 are still to be run/);
    assert.match(text, /runs? diverged: they bound/);
    assert.match(text, /1 run failed and is in no statistic: no/);
    assert.match(text, /no difference shown/i);
  }
});

test('the same study gives the same files, also two at once', async () => {
  const surface = { ...small, starts: small.starts.slice(0, 2), batches: [16] };
  const little = studyOf(syntheticCells(surface), axesOf(surface));
  const [one, other] = await Promise.all([write(little), write(little)]);
  assert.equal(one, other);
});

test('a study of one seed that has barely begun', async () => {
  const surface = { ...small, seeds: [1] };
  const cells = syntheticCells(surface).filter(({ axes }) => axes.batch === 4 && Number(axes.lr) < 3e-4);
  const { html, markdown } = await write(studyOf(cells, axesOf(surface), { remaining: 90 }));
  elementsOf(html);
  assert.match(markdown, /Nothing finished at batch 16 and batch 64/);
  assert.match(markdown, /have one seed: no spread is known there/);
  assert.match(markdown, /No optimum inside the grid of learning rates, the highest is best/);
});

test('a study without a cell', async () => {
  const { html, csv } = await write(studyOf([], axesOf(small), { remaining: 9, base: {} }));
  elementsOf(html);
  assert.match(html, /Nothing can be compared yet/);
  assert.is(parseCsv(csv).length, 1);
});

test('a study of alpha and rank has its plots, without learning rates', async () => {
  const axes = { start: ['random', 'pissa'], alpha: [0, 0.5], rank: [4, 8], seed: [1, 2] };
  const cells = axes.start.flatMap((name) =>
    axes.alpha.flatMap((alpha) =>
      axes.rank.flatMap((rank) =>
        axes.seed.map((seed) => {
          const start = { name, bestRate: 1e-3, power: 0.5 };
          const loss = 2 + 0.3 * (alpha - 0.5) ** 2 - 0.02 * Math.log2(rank) + seed / 100;
          const cell = syntheticCell({ view: 'tokens', start, batch: 16, lr: 1e-3, seed }, loss, () => 0.1);
          return {
            ...cell,
            key: `${name}-${alpha}-${rank}-${seed}`,
            axes: { start: name, alpha, rank, seed },
          };
        }),
      ),
    ),
  );
  const { html } = await write(studyOf(cells, axes));
  const titles = [...html.matchAll(/<h3>([^<]*)<\/h3>/g)].map(([, title]) => title!);
  assert.ok(titles.includes('Loss against alpha') && titles.includes('Loss against rank'));
  assert.ok(titles.every((title) => !title.includes('learning rate')));
  assert.not.match(html, /best lr is chosen/);
});

test('axes of names that are called like options, and lines where theirs says nothing', async () => {
  const [model] = syntheticCells({ ...small, starts: [SURFACE.starts[0]!], batches: [16], rates: [1e-3] });
  const cellsAt = (axes: CellRecord['axes'], options: CellRecord['options']) =>
    [1, 2].map((seed): CellRecord => {
      const nll = 2 + seed / 100 + Math.sin(Object.values(axes).join().length + seed) / 1000;
      return {
        ...model!,
        key: JSON.stringify([axes, seed]),
        axes: { ...axes, lr: 1e-3, seed },
        options,
        measures: { nll },
      };
    });
  const shared = { lr: [1e-3], seed: [1, 2] };
  const named = await write(
    studyOf(
      [...cellsAt({ rank: 'small' }, { rank: 4, loraAlpha: 16 }), ...cellsAt({ rank: 'big' }, { rank: 16 })],
      {
        rank: ['small', 'big'],
        ...shared,
      },
    ),
  );
  assert.match(named.html, /LoRA scale alpha \/ r: 4 \(small\) and 2 \(big\)\./);
  const idle = await write(
    studyOf(
      [
        ...cellsAt({ divergence: 'kl', rank: 4 }, { rank: 4 }),
        ...cellsAt({ divergence: 'kl', rank: 8 }, {}),
        ...cellsAt({ rank: 4 }, { rank: 4 }),
        ...cellsAt({ divergence: 'none' }, { trainable: 'all' }),
      ],
      { divergence: ['kl', 'none'], rank: [4, 8], ...shared },
    ),
  );
  assert.match(idle.markdown, /\| kl \| no divergence \| 4 \|/);
  assert.not.match(idle.markdown, /undefined|NaN/);
  const plot = idle.html.slice(idle.html.indexOf('<h3>Loss against rank'));
  assert.match(plot.slice(0, plot.indexOf('</figure>')), />4<\/text>.*>8<\/text>.*>rank r</s);
});

test.run();
