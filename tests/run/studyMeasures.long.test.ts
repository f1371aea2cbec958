import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CellRecord, type StudyRecord, study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, makeJsonl } from '../fixtures.js';
import { temporaryFolder } from '../support.js';

/** What a study measures of starts and of what adapters do: tiny models, whole runs. */

process.env.RIVULET_CACHE = temporaryFolder('study-measures-cache');
const fixture = makeFixture('study-measures');
const heldOut = join(fixture.folder, 'heldout.jsonl');
writeFileSync(heldOut, makeJsonl(90, 8));

const freshFolder = () => mkdtempSync(join(fixture.folder, 'study-'));

function written(text: string): string {
  const path = join(freshFolder(), 'study.yaml');
  writeFileSync(
    path,
    `options: {student: ${fixture.student}, data: ${fixture.jsonl}, evalData: ${heldOut}, evalTokens: 128, ` +
      `sequence: 16, shuffleRows: 16, threads: 1, rank: 3, batch: 2}\ncurve: 1\n${text}`,
  );
  return path;
}

async function run(config: string, out: string) {
  const running = study({ config, out });
  const [cells, notes]: [CellRecord[], string[]] = [[], []];
  running.cells$.subscribe((cell) => cells.push(cell));
  running.notes$.subscribe((note) => notes.push(note));
  const { finished } = await running.finished;
  assert.ok(finished);
  return { cells, notes };
}

const recordOf = (out: string): StudyRecord => JSON.parse(readFileSync(join(out, 'cells.json'), 'utf8'));
const named = (out: string, start: string) =>
  readdirSync(join(out, 'cells')).filter((name) => name.startsWith(start));

const STARTS =
  'axes: {start: [random, pissa, milora, full], lr: [1.0e-3, 1.0e-2]}\nlength: {steps: 5}\ncheckpoints: 3\n';
const test = suite('measures of a study');

const out = join(freshFolder(), 'out');
let whole: StudyRecord;

test('dynamics of adapters at checkpoints and at the end, and one sharpness for each start', async () => {
  const { cells, notes } = await run(written(`${STARTS}measures: {sharpness: true}\n`), out);
  whole = recordOf(out);
  assert.equal(notes, []);
  assert.equal(whole.notes, []);
  const of = (start: string) => cells.filter(({ axes }) => axes.start === start);
  for (const start of ['random', 'pissa', 'milora']) {
    for (const { dynamics, training } of of(start)) {
      assert.equal(
        dynamics.map(({ step, tokens }) => [step, tokens]),
        [2, 4, 5].map((step) => [step, training.find((point) => point.step === step)!.tokens]),
      );
      for (const { norm, stable_rank, top, bottom } of dynamics) {
        assert.ok(norm > 0 && norm < 1, `${norm}`);
        assert.ok(stable_rank >= 1 && stable_rank <= 6, `${stable_rank}`);
        assert.ok(top > 0 && bottom > 0 && top + bottom <= 1, `${top} ${bottom}`);
      }
    }
    const [slow, fast] = of(start).map(({ dynamics }) => dynamics.at(-1)!.norm);
    assert.ok(fast! > 2 * slow!, 'ten times the rate moves the weights further');
  }
  const end = (start: string) => of(start)[0]!.dynamics.at(-1)!;
  assert.ok(end('pissa').top > 0.4 && end('milora').bottom > 0.4, 'starts move what they began with');
  assert.ok(end('random').top < 0.4 && end('random').bottom < 0.4);
  assert.ok(of('full').every(({ dynamics }) => dynamics.length === 0));
  const sharpness = cells.map(({ measures }) => measures.sharpness!);
  assert.ok(sharpness.every((value) => value > 0));
  assert.is(new Set(sharpness).size, 4, 'shared by the rates of a start, no two starts alike');
  assert.is(named(out, 'sharpness-').length, 4);
});

test('another seed is another start where something is drawn', async () => {
  const other = join(freshFolder(), 'out');
  const axes = 'axes: {start: [random, pissa], seed: [0, 1]}\nlength: {steps: 1}\n';
  const { cells } = await run(written(`${axes}measures: {sharpness: true, dynamics: false}\n`), other);
  const of = (from: readonly CellRecord[], start: string, seed: number) =>
    from.find(({ axes }) => axes.start === start && axes.seed === seed)!.measures.sharpness;
  assert.is(of(cells, 'random', 0), of(whole.cells, 'random', 0), 'the same rows, whatever the run');
  assert.not.equal(of(cells, 'random', 1), of(cells, 'random', 0));
  assert.is(of(cells, 'pissa', 1), of(whole.cells, 'pissa', 0));
  assert.is(named(other, 'sharpness-').length, 3);
  assert.ok(cells.every(({ dynamics }) => dynamics.length === 0));
});

test('a value that is not as it was written is found again', async () => {
  const damaged = join(freshFolder(), 'out');
  const rate = (lr: string) =>
    written(`axes: {start: [random], lr: [${lr}]}\nlength: {steps: 1}\nmeasures: {sharpness: true}\n`);
  const first = await run(rate('1.0e-3'), damaged);
  const path = join(damaged, 'cells', named(damaged, 'sharpness-')[0]!);
  writeFileSync(path, readFileSync(path, 'utf8').slice(0, 9));
  const second = await run(rate('1.0e-2'), damaged);
  assert.is(second.notes.length, 1);
  assert.ok(second.notes[0]!.startsWith(path) && second.notes[0]!.endsWith('; it is found again'));
  assert.is(second.cells[0]!.measures.sharpness, first.cells[0]!.measures.sharpness);
});

test('what was measured stays when other measures are wanted; forks have neither', async () => {
  const more = `${STARTS}branches: {factors: [1], at: [1], tokens: 64, where: {start: pissa}}\n`;
  const { cells, notes } = await run(written(`${more}measures: {sharpness: false}\n`), out);
  assert.equal(notes, []);
  const own = cells.filter(({ branch }) => !branch);
  const dynamicsOf = (of: readonly CellRecord[]) => new Map(of.map(({ key, dynamics }) => [key, dynamics]));
  assert.equal(dynamicsOf(own), dynamicsOf(whole.cells));
  assert.ok(own.every(({ measures }) => measures.sharpness === undefined));
  const [fork, ...others] = cells.filter(({ branch }) => branch);
  assert.equal(others, []);
  assert.equal(fork!.dynamics, []);
});

test('cells whose checkpoints went before dynamics were asked for are named', async () => {
  const late = join(freshFolder(), 'out');
  const axes = 'axes: {start: [random]}\nlength: {steps: 3}\n';
  await run(written(`${axes}measures: {dynamics: false}\n`), late);
  const { cells, notes } = await run(written(axes), late);
  const { cells: kept, notes: told } = recordOf(late);
  assert.equal(notes, told);
  assert.is(told.length, 1);
  assert.match(told[0]!, 'dynamics: expected those of all cells with adapters, found 1 without');
  assert.ok(kept.every(({ dynamics }) => dynamics.length === 0));
  const [adapter] = cells;
  rmSync(join(late, 'cells', adapter!.key), { recursive: true });
  const again = await run(written(axes), late);
  assert.equal(again.notes, []);
  assert.is(again.cells[0]!.dynamics.length, 3);
});

test.run();
