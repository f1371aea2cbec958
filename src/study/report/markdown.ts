import type { Report, Section, Table } from './document.js';

/** A report as Markdown: its sentences and tables; the plots are in the HTML alone. */
export function toMarkdown({ title, lead, sections, config }: Report): string {
  const parts = [
    `# ${inline(title)}`,
    inline(lead),
    'The plots are in report.html.',
    ...sections.flatMap(sectionParts),
    '## Config of the study',
    fenced(config),
  ];
  return `${parts.join('\n\n')}\n`;
}

const sectionParts = ({ title, text, points, tables }: Section): string[] => [
  `## ${inline(title)}`,
  ...text.map(inline),
  ...(points.length > 0 ? [points.map((point) => `- ${inline(point)}`).join('\n')] : []),
  ...tables.flatMap(tableParts),
];

function tableParts({ title, caption, columns, rows }: Table): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = [
    line(columns.map(({ name }) => inline(name))),
    line(columns.map(({ numeric }) => (numeric ? '---:' : '---'))),
    ...rows.map((row) => line(row.map((cell) => inline(typeof cell === 'string' ? cell : cell.text)))),
  ];
  return [`### ${inline(title)}`, inline(caption), lines.join('\n')];
}

/** Text in which nothing is markup: names may hold anything. */
const inline = (text: string): string =>
  text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>#|~&]/g, (char) => (char === '&' ? '&amp;' : `\\${char}`));

/** A block of code, with a fence longer than any inside. */
function fenced(code: string): string {
  const longest = Math.max(0, ...[...code.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return `${fence}json\n${code}\n${fence}`;
}
