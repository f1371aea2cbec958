import type { StudyResult } from '../library/study.js';
import { clock } from '../report/progress.js';
import type { Bounds, CellRecord, StudyEstimate } from '../study/records.js';

/** A cell that has ended, in a line. */
export function cellText({ axes, view, branch, status, reason, measures, seconds }: CellRecord): string {
  const place = Object.entries(axes).map(([name, value]) => `${name} ${value}`);
  const from = branch ? [`branch of ${branch.from}@${branch.step}`] : [];
  const came =
    status === 'done' ? `nll ${measures.nll?.toFixed(4) ?? 'not measured'}` : `${status}: ${reason}`;
  return [...from, ...place, `equal ${view}`, came, clock(seconds)].join('  ');
}

/** What a study comes to, line by line. @param ranks that share its cells out */
export function estimateText({ cells, tokens, seconds }: StudyEstimate, ranks = 1): string {
  const range = ({ least, most }: Bounds, shown: (value: number) => string) =>
    least === most ? shown(least) : `${shown(least)} known, ${shown(most)} at most`;
  const whole = (value: number) => value.toLocaleString('en');
  return [
    `cells   ${range(cells, whole)}`,
    `tokens  ${range(tokens, whole)}`,
    `time    ${range(seconds, clock)} ${ranks > 1 ? `of one rank; ${ranks} share it ` : ''}(training alone: evaluations, measures and checkpoints come on top)`,
  ].join('\n');
}

/** The last lines of a study: what there is, and how to go on. */
export function studyText({ out, cells, failed, remaining, finished }: StudyResult): string {
  const failures = failed > 0 ? `, ${failed} failed (given again, they are tried again)` : '';
  const left = finished
    ? ''
    : `; stopped, ${remaining} are left as far as is known: the same command goes on`;
  return `${cells} cell${cells === 1 ? '' : 's'} in ${out}/cells.json${failures}${left}`;
}
