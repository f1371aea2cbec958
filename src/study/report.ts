import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { publishFile } from '../formats/checkpointFiles.js';
import { analyse } from './analysis.js';
import type { StudyRecord } from './records.js';
import { buildReport } from './report/build.js';
import { toCsv } from './report/csv.js';
import { toHtml } from './report/html.js';
import { toMarkdown } from './report/markdown.js';

/** The files of a report. */
export const reportPaths = (folder: string) => ({
  html: join(folder, 'report.html'),
  markdown: join(folder, 'report.md'),
  csv: join(folder, 'cells.csv'),
});

/**
 * Writes report.html, report.md and cells.csv into a folder, which is made when it is absent. Each file is replaced as a
 * whole once all of them are made. A study that is not finished, or has no cell yet, has a report, too.
 */
export async function writeReport(folder: string, study: StudyRecord): Promise<void> {
  const report = buildReport(analyse(study));
  const paths = reportPaths(folder);
  const files = [
    [paths.html, await toHtml(report)],
    [paths.markdown, toMarkdown(report)],
    [paths.csv, toCsv(study)],
  ] as const;
  mkdirSync(folder, { recursive: true });
  for (const [path, text] of files) publishFile(path, [new TextEncoder().encode(text)]);
}
