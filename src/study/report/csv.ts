import type { StudyRecord } from '../records.js';

/**
 * The cells of a study as CSV (RFC 4180, UTF-8, a head line): a row a cell with its axes, status, measures, seconds and
 * command. Numbers are written in full. Axes and measures are called `axis.NAME` and `measure.NAME`.
 */
export function toCsv({ axes, cells }: StudyRecord): string {
  const axisNames = [...new Set([...Object.keys(axes), ...cells.flatMap((cell) => Object.keys(cell.axes))])];
  const measureNames = [...new Set(cells.flatMap(({ measures }) => Object.keys(measures)))].sort();
  const columns: readonly (readonly [name: string, read: (cell: StudyRecord['cells'][number]) => unknown])[] =
    [
      ['key', ({ key }) => key],
      ['view', ({ view }) => view],
      ...axisNames.map(
        (name) => [`axis.${name}`, (cell: StudyRecord['cells'][number]) => cell.axes[name]] as const,
      ),
      ['branch.from', ({ branch }) => branch?.from],
      ['branch.step', ({ branch }) => branch?.step],
      ['branch.factor', ({ branch }) => branch?.factor],
      ['status', ({ status }) => status],
      ['reason', ({ reason }) => reason],
      ...measureNames.map(
        (name) => [`measure.${name}`, (cell: StudyRecord['cells'][number]) => cell.measures[name]] as const,
      ),
      ['steps', ({ steps }) => steps],
      ['tokens', ({ tokens }) => tokens],
      ['seconds', ({ seconds }) => seconds],
      ['command', ({ command }) => command],
    ];
  const rows = [columns.map(([name]) => name), ...cells.map((cell) => columns.map(([, read]) => read(cell)))];
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

function field(value: unknown): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
