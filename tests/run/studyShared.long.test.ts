import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CellRecord, type StudyRecord, study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { type RunFolder, takeRunFolder } from '#src/formats/runFolder.js';
import { startProgram } from './process.js';
import { studyFixture } from './studies.js';

/** Cells that were begun elsewhere, otherwise or by another study: from another folder, with other checkpoints, in use. */

const { fixture, freshFolder, written } = studyFixture('study-shared');

/** A study with its model and text in a new folder, by relative paths. @returns its path */
function writtenBeside(text: string): string {
  const folder = join(freshFolder(), 'home');
  cpSync(fixture.student, join(folder, 'student'), { recursive: true });
  cpSync(fixture.jsonl, join(folder, 'documents.jsonl'));
  const path = join(folder, 'study.yaml');
  writeFileSync(
    path,
    'options: {student: student, data: documents.jsonl, evalTokens: 128, sequence: 16, shuffleRows: 16, threads: 1}\n' +
      `measures: {dynamics: false}\n${text}`,
  );
  return path;
}

/** Runs a study from a folder. @returns its cells as they came, and what was noted */
async function runFrom(cwd: string, config: string, out: string, onNote: (note: string) => void = () => {}) {
  const before = process.cwd();
  process.chdir(cwd);
  try {
    const running = study({ config, out });
    const [cells, notes]: [CellRecord[], string[]] = [[], []];
    running.cells$.subscribe((cell) => cells.push(cell));
    running.notes$.subscribe((note) => {
      notes.push(note);
      onNote(note);
    });
    return { result: await running.finished, cells, notes };
  } finally {
    process.chdir(before);
  }
}

const recordOf = (out: string): StudyRecord => JSON.parse(readFileSync(join(out, 'cells.json'), 'utf8'));
const cellsIn = (out: string): string[] =>
  readdirSync(join(out, 'cells')).filter((name) => !name.endsWith('.json'));
const resultsOf = (cells: readonly CellRecord[]) =>
  cells.map(({ key, status, measures, curve }) => ({ key, status, measures, curve }));

const test = suite('cells of a study that others began');

test('a cell that was killed goes on from another folder, from the first again, and where all has moved', async () => {
  let home = dirname(
    writtenBeside('axes: {batch: [2]}\nlength: {steps: 100000}\ncurve: 1\ncheckpoints: 2000\n'),
  );
  const last = () => {
    const [key] = existsSync(join(home, 'out', 'cells')) ? cellsIn(join(home, 'out')) : [];
    const path = join(home, 'out', 'cells', key ?? '', 'checkpoints');
    return listCheckpoints(path).at(-1)?.step ?? 0;
  };
  let before = 0;
  const goesOn = async (cwd: string) => {
    const args = ['--config', join(home, 'study.yaml'), '--out', join(home, 'out')];
    const { child, ended } = startProgram('study', args, { cwd });
    while (last() <= before && child.exitCode === null) await delay(5);
    child.kill('SIGKILL');
    const { stderr } = await ended;
    assert.not.match(stderr, /set aside|failed/);
    assert.is(cellsIn(join(home, 'out')).length, 1);
    before = last();
  };
  await goesOn(home);
  await goesOn(freshFolder());
  await goesOn(home);
  const moved = join(freshFolder(), 'moved');
  renameSync(home, moved);
  home = moved;
  await goesOn(home);
});

test('a cell that has ended is measured, and branched from, from another folder', async () => {
  const text = 'axes: {batch: [2]}\nlength: {steps: 4}\ncurve: 1\ncheckpoints: 2\n';
  const out = join(freshFolder(), 'out');
  const config = writtenBeside(text);
  const first = await runFrom(freshFolder(), config, out);
  assert.is(first.result.failed, 0);
  const grown = readFileSync(config, 'utf8')
    .replace('{dynamics: false}', `{dynamics: false, unrelated: ${fixture.text}}`)
    .concat('branches: {factors: [2], tokens: 64}\n');
  writeFileSync(config, grown);
  const { result, cells, notes } = await runFrom(mkdtempSync(join(freshFolder(), 'below-')), config, out);
  assert.equal([result.failed, notes], [0, []]);
  assert.is(cells[0]!.key, first.cells[0]!.key);
  assert.ok(cells[0]!.measures.forgetting !== undefined);
  assert.is(cells[1]!.branch!.from, cells[0]!.key);
});

test('branches begin in a cell that ran with other checkpoints: it is run once more, to the same result', async () => {
  const text = 'axes: {batch: [2]}\nlength: {steps: 4}\ncurve: 1\nmeasures: {dynamics: false}\n';
  const out = join(freshFolder(), 'out');
  const first = await runFrom(freshFolder(), written(`${text}checkpoints: 2\n`), out);
  const branches = 'branches: {factors: [1], at: [1], tokens: 64}\n';
  const config = written(`${text}checkpoints: 4\n${branches}`);
  const { result, cells } = await runFrom(freshFolder(), config, out);
  assert.is(result.failed, 0, cells.map(({ reason }) => reason).join());
  assert.equal(
    cells.map(({ branch }) => branch?.step),
    [undefined, 1],
  );
  assert.equal(resultsOf(cells.slice(0, 1)), resultsOf(first.cells));
  const alone = await runFrom(freshFolder(), config, join(freshFolder(), 'out'));
  assert.equal(resultsOf(cells), resultsOf(alone.cells));
});

test('a cell that ended before a branch could begin in it is not run again for that', async () => {
  const out = join(freshFolder(), 'out');
  const config = written(
    'axes: {earlyStop: ["nll:1"], batch: [2], lr: [0.3]}\nlength: {steps: 8}\ncurve: 8\nwarmup: 0\ncheckpoints: 8\n' +
      'branches: {factors: [1], at: [7], tokens: 64}\nmeasures: {dynamics: false}\n',
  );
  const { cells } = await runFrom(freshFolder(), config, out);
  const [cell, branch] = cells;
  assert.ok(cell!.steps < 7, `${cell!.steps}`);
  const reason = `expected a cell that comes to step 7, found one that ended after ${cell!.steps}; give another at`;
  assert.match(branch!.reason!, reason);
  assert.ok(existsSync(join(out, 'cells', cell!.key, 'cell.json')));
});

test('a cell that another study is at work on is left for later', async () => {
  const config = written('axes: {batch: [2, 4]}\nlength: {steps: 2}\ncurve: 1\ncheckpoints: 1\n');
  const alone = await runFrom(freshFolder(), config, join(freshFolder(), 'out'));
  const out = join(freshFolder(), 'out');
  const [taken, other] = alone.cells;
  let folder: RunFolder | undefined = await takeRunFolder(join(out, 'cells', taken!.key), true);
  const running = study({ config, out });
  const [cells, notes]: [CellRecord[], string[]] = [[], []];
  running.notes$.subscribe((note) => notes.push(note));
  running.cells$.subscribe((cell) => {
    cells.push(cell);
    folder?.release();
    folder = undefined;
  });
  const { failed, finished } = await running.finished;
  assert.equal([failed, finished], [0, true]);
  assert.equal(resultsOf(cells), resultsOf([other!, taken!]));
  assert.equal(resultsOf(recordOf(out).cells), resultsOf(alone.cells));
  assert.is(notes.length, 1);
  assert.match(notes[0]!, `${taken!.key}: another study is at work on it; it is left for later`);
});

test('what can not go on stays where the cell can not begin anew either', async () => {
  const config = written(
    'axes: {targetModules: [nothing_proj]}\nlength: {steps: 2}\ncurve: 1\ncheckpoints: 1\n',
  );
  const out = join(freshFolder(), 'out');
  const { cells } = await runFrom(freshFolder(), config, out);
  const folder = join(out, 'cells', cells[0]!.key);
  mkdirSync(folder);
  writeFileSync(join(folder, 'run.json'), '{"version": ');
  const again = await runFrom(freshFolder(), config, out);
  assert.match(again.cells[0]!.reason!, 'nothing_proj');
  assert.equal(again.notes, []);
  assert.equal(cellsIn(out), [cells[0]!.key]);
});

test.run();
