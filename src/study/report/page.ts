import { COLORS } from './styles.js';

/** What makes a page of a report's HTML: its looks in light, dark and print, and tables that can be sorted. */

const LIGHT = `--paper:#fff;--ink:#1c2126;--muted:#69727c;--grid:#e3e6e9;--link:#0b5cad;${COLORS.light}`;
const DARK = `--paper:#15181b;--ink:#e4e7ea;--muted:#98a1aa;--grid:#30363c;--link:#7ab8f5;${COLORS.dark}`;

export const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media screen and (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:76rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.8rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.35rem;margin:2.6rem 0 .5rem;padding-top:.7rem;border-top:1px solid var(--grid)}
h3{font-size:1.08rem;margin:0 0 .3rem}
p,ul,ol,figcaption{max-width:48rem}
li{margin:.25rem 0}
a{color:var(--link)}
nav ol{padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
.figures{display:flex;flex-wrap:wrap;gap:2.2rem 2rem;margin:1.6rem 0}
figure{margin:0;flex:1 1 100%;min-width:0}
figure.single{flex:1 1 26rem;max-width:36rem}
figcaption{color:var(--muted);font-size:.88rem;margin-top:.4rem}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:.8rem 1rem}
.even .panels{grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr))}
.single .panels{grid-template-columns:1fr}
.panel{max-width:30rem;min-width:0}
.panel svg{display:block;width:100%;height:auto}
.panel-title{margin:0;font-size:.9rem;font-weight:600}
.y-title{margin:0;font-size:.8rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:.2rem 0 .6rem;padding:0;font-size:.9rem;max-width:none}
.legend li{display:flex;align-items:center;gap:.4rem;margin:0;min-width:0}
.key{width:2rem;height:1rem;flex:none;fill:none}
details{margin:.9rem 0}
summary{cursor:pointer;font-weight:600}
.scroll{overflow-x:auto;max-height:42rem}
table{border-collapse:collapse;font-size:.86rem;line-height:1.35;overflow-wrap:normal}
th,td{padding:.28rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid);max-width:26rem}
td,tbody th{min-width:3rem;overflow-wrap:break-word}
tbody th{font-weight:normal}
thead th{position:sticky;top:0;background:var(--paper);vertical-align:bottom}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .n{white-space:normal}
th button{all:unset;cursor:pointer;font-weight:600}
th button:focus-visible{outline:2px solid var(--link);outline-offset:2px}
th[aria-sort=ascending] button::after{content:" \\25B2"}
th[aria-sort=descending] button::after{content:" \\25BC"}
pre{overflow-x:auto;font-size:.82rem}
@media print{
@page{margin:14mm}
body{padding:0;max-width:none;font-size:10pt}
.figures{display:block}
figure,figure.single{margin:1.2rem 0;max-width:none}
.single,.panel,figcaption,tr,li{break-inside:avoid}
.panels,figcaption{break-before:avoid}
h2,h3,.legend,summary{break-after:avoid}
.panels,.even .panels{grid-template-columns:repeat(2,1fr)}
.single .panels{grid-template-columns:1fr}
.single .panel{max-width:60%}
.scroll{overflow:visible;max-height:none}
table{font-size:7pt}
th,td{padding:.12rem .28rem;min-width:0}
thead th{position:static}
nav{display:none}
}`;

/** Turns the heads of all tables into buttons; without script they are plain heads. Numbers sort by their value. */
export const SORTING = `
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const keyOf = (row, i) => {
    const { dataset, textContent } = row.cells[i];
    return dataset.sort === undefined ? textContent : Number(dataset.sort);
  };
  const compare = (a, b) => {
    if (a === '' || b === '') return a === b ? 0 : a === '' ? Infinity : -Infinity;
    return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
  };
  heads.forEach((head, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const sign = head.ariaSort === 'ascending' ? -1 : 1;
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = sign === 1 ? 'ascending' : 'descending';
      const order = (a, b) => {
        const difference = compare(keyOf(a, i), keyOf(b, i));
        return Math.abs(difference) === Infinity ? difference : sign * difference;
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}
addEventListener('beforeprint', () => {
  for (const details of document.querySelectorAll('details:not(.long)')) details.open = true;
});`;
