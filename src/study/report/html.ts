import { drawSvg, type Style } from './chart.js';
import type { LegendItem, Plot, Report, Section, Table, TableCell } from './document.js';
import { escapeHtml } from './format.js';
import { SORTING, STYLE } from './page.js';

/** Tables of a section that are open at first, as far as they are short; long ones are not printed either, unless open. */
const OPEN_TABLES = 2;
const MOST_OPEN_ROWS = 100;
const MOST_POINTS = 12;

/** A report as one page that needs nothing else: no network, no script to be read. */
export async function toHtml({ title, lead, sections, config }: Report): Promise<string> {
  const body: string[] = [];
  for (const [i, section] of sections.entries()) body.push(await sectionHtml(section, `s${i}`));
  const contents = sections.map(({ title: name }, i) => `<li><a href="#s${i}">${escapeHtml(name)}</a></li>`);
  const parts = body.map((content, i) => `<section id="s${i}">\n${content}\n</section>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(lead)}</p>
<nav aria-label="Contents"><ol>${contents.join('')}</ol></nav>
</header>
<main>
${parts.join('\n')}
<section>
<details><summary>Config of the study</summary><pre>${escapeHtml(config)}</pre></details>
</section>
</main>
<script>${SORTING}</script>
</body>
</html>
`;
}

/** Sentences: a number stays with its sign of per cent. */
const prose = (text: string): string => escapeHtml(text.replace(/(\d) %/g, '$1\u00a0%'));

async function sectionHtml({ title, text, points, plots, tables }: Section, id: string): Promise<string> {
  const drawn: string[] = [];
  for (const [i, plot] of plots.entries()) drawn.push(await plotHtml(plot, `${id}-${i}`));
  return [
    `<h2>${escapeHtml(title)}</h2>`,
    ...text.map((sentence) => `<p>${prose(sentence)}</p>`),
    ...pointsHtml(points),
    ...(drawn.length > 0 ? [`<div class="figures">\n${drawn.join('\n')}\n</div>`] : []),
    ...tables.map((table, i) => tableHtml(table, i < OPEN_TABLES)),
  ].join('\n');
}

/** A list; of a long one, the rest can be opened. */
function pointsHtml(points: readonly string[]): string[] {
  const items = (some: readonly string[]) =>
    `<ul>${some.map((point) => `<li>${prose(point)}</li>`).join('\n')}</ul>`;
  const rest = points.slice(MOST_POINTS);
  const more = `<details><summary>${rest.length} more</summary>${items(rest)}</details>`;
  return points.length === 0 ? [] : [items(points.slice(0, MOST_POINTS)), ...(rest.length > 0 ? [more] : [])];
}

async function plotHtml({ title, caption, legend, panels }: Plot, id: string): Promise<string> {
  const drawn: string[] = [];
  for (const [i, panel] of panels.entries()) {
    const name = panel.title === '' ? title : `${title}: ${panel.title}`;
    const description = `${panel.y.title} over ${panel.x.title}. ${caption}`;
    const heading = panel.title === '' ? '' : `<p class="panel-title">${escapeHtml(panel.title)}</p>`;
    const y = `<p class="y-title">${escapeHtml(panel.y.title)}</p>`;
    drawn.push(
      `<div class="panel">${heading}${y}${describeSvg(await drawSvg(panel), name, description, `${id}-${i}`)}</div>`,
    );
  }
  const [count, isEven] = [panels.length, panels.length % 3 !== 0 && panels.length % 2 === 0];
  return [
    `<figure class="${count === 1 ? 'single' : isEven ? 'even' : 'many'}">`,
    `<h3>${escapeHtml(title)}</h3>`,
    legendHtml(legend),
    `<div class="panels">${drawn.join('\n')}</div>`,
    `<figcaption>${prose(caption)}</figcaption>`,
    '</figure>',
  ].join('\n');
}

/** Vega's SVG with a name for those who can't see it, and as wide as its place. */
function describeSvg(svg: string, title: string, description: string, id: string): string {
  const size = /viewBox="([^"]+)"/.exec(svg)![1]!;
  const content = nameIds(svg.slice(svg.indexOf('>') + 1), id);
  const label = escapeHtml(title);
  return (
    `<svg role="img" aria-label="${label}" viewBox="${size}">` +
    `<title>${label}</title><desc>${escapeHtml(description)}</desc>${content}`
  );
}

/** Vega counts ids from the start of the process: here they count from the start of the picture. */
function nameIds(svg: string, prefix: string): string {
  const names = new Map<string, string>();
  return svg.replace(/(?<=id="|url\(#)clip\d+/g, (id) => {
    if (!names.has(id)) names.set(id, `${prefix}-${names.size}`);
    return names.get(id)!;
  });
}

const legendHtml = (items: readonly LegendItem[]): string =>
  items.length === 0
    ? ''
    : `<ul class="legend">${items.map(({ name, style }) => `<li>${keyHtml(style)}${escapeHtml(name)}</li>`).join('')}</ul>`;

function keyHtml({ color, shape, dash }: Style): string {
  const line = `<path d="M-3,0H3" stroke="${color}" stroke-width=".45"${dash ? ' stroke-dasharray="1.2 .9"' : ''}/>`;
  const point = shape === undefined ? '' : `<path d="${shape}" fill="${color}"/>`;
  return `<svg class="key" viewBox="-3 -1.5 6 3" aria-hidden="true">${line}${point}</svg>`;
}

function tableHtml({ title, caption, columns, rows }: Table, isFirst: boolean): string {
  const isLong = rows.length > MOST_OPEN_ROWS;
  const heads = columns.map(
    ({ name, numeric }) => `<th scope="col"${numeric ? ' class="n"' : ''}>${escapeHtml(name)}</th>`,
  );
  const body = rows.map(
    (row) =>
      `<tr>${row.map((cell, i) => cellHtml(cell, columns[i]!.numeric === true, i === 0)).join('')}</tr>`,
  );
  return [
    isLong ? '<details class="long">' : isFirst ? '<details open>' : '<details>',
    `<summary>${escapeHtml(title)}</summary>`,
    `<p>${prose(caption)}</p>`,
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(title)}"><table>`,
    `<thead><tr>${heads.join('')}</tr></thead>`,
    `<tbody>\n${body.join('\n')}\n</tbody>`,
    '</table></div>',
    '</details>',
  ].join('\n');
}

function cellHtml(cell: TableCell, numeric: boolean, isHead: boolean): string {
  const { text, sort } = typeof cell === 'string' ? { text: cell, sort: undefined } : cell;
  const tag = isHead ? 'th' : 'td';
  const attributes = [
    ...(isHead ? [' scope="row"'] : []),
    ...(numeric ? [' class="n"'] : []),
    ...(sort === undefined ? [] : [` data-sort="${sort}"`]),
  ];
  return `<${tag}${attributes.join('')}>${escapeHtml(text)}</${tag}>`;
}
