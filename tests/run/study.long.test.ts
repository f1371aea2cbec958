import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CellRecord, type StudyRecord, study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeJsonl } from '../fixtures.js';
import { adapterBytes, flags, startProgram, timelessMetrics } from './process.js';
import { studyFixture } from './studies.js';

/** Studies of tiny models, from their file to cells.json: reused, killed, tampered with, stopped. */

const { fixture, freshFolder, written } = studyFixture('study');

const recordOf = (out: string): StudyRecord => JSON.parse(readFileSync(join(out, 'cells.json'), 'utf8'));

/** What of a study depends on nothing but its file. */
function timeless(out: string): unknown {
  const { seconds: _, ...record } = recordOf(out);
  return { ...record, cells: record.cells.map(({ seconds: __, command: ___, ...cell }) => cell) };
}

/** Runs a study. @returns its cells as they came, and what was noted */
async function run(config: string, out: string, more: { cells?: string } = {}) {
  const running = study({ config, out, ...more });
  const [cells, notes]: [CellRecord[], string[]] = [[], []];
  running.cells$.subscribe((cell) => cells.push(cell));
  running.notes$.subscribe((note) => notes.push(note));
  return { result: await running.finished, cells, notes };
}

const SMALL =
  'axes: {batch: [2, 4], lr: {from: 1.0e-2, points: 3, extensions: 1}}\n' +
  'seeds: {everywhere: 1, best: 2}\nlength: {tokens: 128}\ncurve: 2\ncheckpoints: 2\n';
const small = written(SMALL);
const whole = join(freshFolder(), 'out');

const test = suite('study');

test('from a file to cells.json: each cell as it ends, by its place on the axes', async () => {
  const { result, cells } = await run(small, whole);
  const record = recordOf(whole);
  assert.ok(result.finished);
  assert.is(result.remaining, 0);
  assert.is(cells.length, result.cells);
  assert.equal(
    cells.slice(0, 2).map(({ axes }) => axes),
    [
      { batch: 2, lr: 0.01, seed: 0 },
      { batch: 4, lr: 0.01, seed: 0 },
    ],
    'the middle of every line comes first',
  );
  assert.equal(new Set(record.cells.map(({ key }) => key)), new Set(cells.map(({ key }) => key)));
  for (const { axes, steps, tokens, measures, curve, training, status, command } of record.cells) {
    assert.is(status, 'done');
    assert.is(steps, axes.batch === 2 ? 4 : 2);
    assert.ok(tokens > 100);
    assert.equal(
      curve.map(({ step }) => step),
      axes.batch === 2 ? [0, 2, 4] : [0, 1, 2],
    );
    assert.is(measures.nll, curve.at(-1)!.nll);
    assert.ok(measures.bits_per_byte! > 0);
    assert.is(training.length, steps);
    assert.match(command, /--student \S+ --data \S+ .*--lr /);
  }
  assert.equal(record.axes.batch, [2, 4]);
  assert.ok(record.axes.lr!.length >= 3);
  assert.equal(record.axes.seed, [0, 1]);
  assert.is(record.base.nll, record.cells[0]!.curve[0]!.nll);
});

test('another study takes the cells that are there: none is run again', async () => {
  const cells = join(whole, 'cells');
  const keys = recordOf(whole).cells.map(({ key }) => key);
  const times = () => keys.map((key) => statSync(join(cells, key, 'cell.json')).mtimeMs);
  const before = times();
  const out = join(freshFolder(), 'other');
  const { result } = await run(small, out, { cells });
  assert.ok(result.finished);
  assert.equal(times(), before);
  assert.is(readdirSync(cells).filter((name) => !name.endsWith('.json')).length, keys.length);
  assert.equal(timeless(out), timeless(whole));
});

/** Whether a folder of cells has one that was begun and has not ended. */
const hasHalf = (cells: string): boolean =>
  existsSync(cells) &&
  readdirSync(cells).some((key) => {
    const holds = (name: string) => existsSync(join(cells, key, name));
    return holds('metrics.jsonl') && !holds('cell.json');
  });

test('a cell is the run of its command', async () => {
  const record = recordOf(whole);
  const cwd = freshFolder();
  for (const { key, options } of [record.cells[0]!, record.cells.at(-1)!]) {
    const { code, stderr } = await startProgram('train', [...flags(options), '--out', key], { cwd }).ended;
    assert.is(code, 0, stderr);
    const results = (run: string) => timelessMetrics(run).filter((line) => /"type":"(step|eval)"/.test(line));
    assert.equal(results(join(cwd, key)), results(join(whole, 'cells', key)));
    assert.equal(adapterBytes(join(cwd, key)), adapterBytes(join(whole, 'cells', key)));
  }
});

test('killed again and again amid a cell, it goes on to the same cells', async () => {
  const cwd = freshFolder();
  const args = ['--config', small, '--out', 'out'];
  for (const ended of [1, 3]) {
    const program = startProgram('study', args, { cwd });
    await program.printed(new RegExp(`(nll[^]*){${ended}}`));
    while (!hasHalf(join(cwd, 'out', 'cells'))) await delay(1);
    program.child.kill('SIGKILL');
    await program.ended;
    assert.ok(hasHalf(join(cwd, 'out', 'cells')));
  }
  const { code } = await startProgram('study', args, { cwd }).ended;
  assert.is(code, 0);
  assert.equal(timeless(join(cwd, 'out')), timeless(whole));
});

test('a signal ends it within seconds, and the same command goes on', async () => {
  const cwd = freshFolder();
  const args = ['--config', small, '--out', 'out'];
  const { child, ended, printed } = startProgram('study', args, { cwd });
  await printed(/nll/);
  const start = performance.now();
  child.kill('SIGTERM');
  const { code, stdout } = await ended;
  assert.ok(performance.now() - start < 10_000, 'the cell is stopped and what there is reported');
  assert.is(code, 143);
  assert.match(
    readFileSync(join(cwd, 'out', 'report.md'), 'utf8'),
    /The study is not finished: \d+ cells? ended/,
  );
  assert.match(stdout, /stopped, \d+ are left as far as is known: the same command goes on/);
  const again = await startProgram('study', args, { cwd }).ended;
  assert.is(again.code, 0);
  assert.equal(timeless(join(cwd, 'out')), timeless(whole));
});

test('a cell that somebody changed is set aside, with a line, and run again', async () => {
  for (const file of ['metrics.jsonl', 'cell.json', 'run.json']) {
    const { key } = recordOf(whole).cells[0]!;
    const path = join(whole, 'cells', key, file);
    writeFileSync(
      path,
      readFileSync(path, 'utf8')
        .replace('"seed":', '"Seed":')
        .replace(/"nll": ?(\d)/, '"nll": 4$1'),
    );
    const before = timeless(whole);
    const { result, notes } = await run(small, whole);
    assert.ok(result.finished);
    assert.is(notes.filter((note) => note.includes('set aside')).length, 1, notes.join('\n'));
    assert.match(notes[0]!, new RegExp(`${key}.*: .*; set aside as .*damaged.*, the cell is run again`));
    assert.equal(timeless(whole), before);
  }
});

test('a rate at which losses are no numbers: the cell has diverged, is kept, and bounds the grid', async () => {
  const out = join(freshFolder(), 'out');
  const config = written('axes: {lr: [1.0e-3, 1.0e+38]}\nlength: {steps: 4}\ncurve: 1\ncheckpoints: 1\n');
  const { result, cells } = await run(config, out);
  assert.ok(result.finished);
  assert.equal(
    cells.map(({ status }) => status),
    ['done', 'diverged'],
  );
  assert.match(cells[1]!.reason!, /finite/);
  const again = await run(config, out);
  assert.equal(again.cells, cells);
});

test('a cell that cannot be run fails with its reason, and the rest goes on', async () => {
  const out = join(freshFolder(), 'out');
  const config = written(
    'axes: {targetModules: [q_proj, nothing_proj]}\nlength: {steps: 2}\ncurve: 1\ncheckpoints: 1\n',
  );
  const { result, cells } = await run(config, out);
  assert.is(result.failed, 1);
  assert.equal(
    cells.map(({ status }) => status),
    ['done', 'failed'],
  );
  assert.match(cells[1]!.reason!, /nothing_proj/);
  assert.is(recordOf(out).cells.length, 2);
});

test('branches of the best cell: equal tokens at other batch sizes, at the rate times the root', async () => {
  const out = join(freshFolder(), 'out');
  const config = written(
    'axes: {lr: [1.0e-3, 1.0e-2]}\nlength: {steps: 4}\ncurve: 1\ncheckpoints: 2\n' +
      'options: {}\nbranches: {factors: [1, 2], tokens: 2048}\n'.replace('options: {}\n', ''),
  );
  const { result, cells } = await run(config, out);
  assert.ok(result.finished);
  const branches = cells.filter(({ branch }) => branch);
  assert.equal(
    branches.map(({ branch }) => [branch!.step, branch!.factor]),
    [
      [2, 1],
      [2, 2],
    ],
  );
  const [one, two] = branches;
  assert.is(one!.axes.batch, 64);
  assert.is(two!.axes.batch, 128);
  assert.ok(Math.abs(Number(two!.axes.lr) / Number(one!.axes.lr) - Math.SQRT2) < 1e-4);
  assert.equal(
    branches.map(({ steps }) => steps),
    [4, 3],
  );
  const parent = cells.find(({ key }) => key === one!.branch!.from)!;
  const { step, tokens } = parent.training.find((point) => point.step === 2)!;
  for (const { curve } of branches) assert.equal([curve[0]!.step, curve[0]!.tokens], [step, tokens]);
  assert.ok(existsSync(join(out, 'cells', parent.key)));
  const left = readdirSync(join(out, 'cells', parent.key, 'checkpoints'));
  assert.equal(left, [], 'checkpoints go once nothing can begin in them');
});

test('a dry run says cells, tokens and time, and writes nothing', async () => {
  const cwd = freshFolder();
  const { code, stdout } = await startProgram('study', ['--config', small, '--out', 'out', '--dry-run'], {
    cwd,
  }).ended;
  assert.is(code, 0);
  assert.match(stdout, /^cells {3}6 known, 14 at most\ntokens {2}768 known, 1,\d+ at most\ntime /);
  assert.equal(readdirSync(cwd), []);
});

test('measures are taken of every cell; others later, of the adapters that are there', async () => {
  const out = join(freshFolder(), 'out');
  const text = 'axes: {start: [random, full]}\nlength: {steps: 2}\ncurve: 1\ncheckpoints: 1\n';
  const bare = await run(written(text), out);
  assert.equal(Object.keys(bare.cells[0]!.measures), ['nll', 'bits_per_byte']);
  const adapter = statSync(join(out, 'cells', bare.cells[0]!.key, 'adapter', 'adapter_model.safetensors'));
  const { cells, result } = await run(written(`${text}measures: {unrelated: ${fixture.text}}\n`), out);
  assert.ok(result.finished);
  const { base } = recordOf(out);
  for (const [i, { measures, key }] of cells.entries()) {
    assert.is(key, bare.cells[i]!.key);
    assert.is(measures.nll, bare.cells[i]!.measures.nll);
    assert.is(measures.forgetting, measures.unrelated_nll! - base.unrelated_nll!);
  }
  assert.not.equal(cells[0]!.measures.forgetting, cells[1]!.measures.forgetting);
  const again = statSync(join(out, 'cells', cells[0]!.key, 'adapter', 'adapter_model.safetensors'));
  assert.is(again.mtimeMs, adapter.mtimeMs, 'it was not trained again');
});

test('texts are told by their contents: another one at the same path, or in another study, is measured anew', async () => {
  const out = join(freshFolder(), 'out');
  const folder = freshFolder();
  const [unrelated, heldOut] = ['unrelated.jsonl', 'heldout.jsonl'].map((name) => join(folder, name));
  const config = written(
    `measures: {unrelated: ${unrelated}, dynamics: false}\nlength: {steps: 1}\ncurve: 1\ncheckpoints: 1\n`,
  );
  writeFileSync(config, readFileSync(config, 'utf8').replace(/evalData: [^,]+/, `evalData: ${heldOut}`));
  const measured = async (seeds: { readonly unrelated: number; readonly heldOut: number }) => {
    writeFileSync(unrelated!, makeJsonl(seeds.unrelated, 8));
    writeFileSync(heldOut!, makeJsonl(seeds.heldOut, 8));
    const { cells } = await run(config, out);
    return { base: recordOf(out).base, cell: cells[0]! };
  };
  const first = await measured({ unrelated: 70, heldOut: 80 });
  const other = await measured({ unrelated: 71, heldOut: 80 });
  assert.is(other.cell.key, first.cell.key);
  assert.is(other.base.nll, first.base.nll);
  assert.is.not(other.base.unrelated_nll, first.base.unrelated_nll);
  assert.is.not(other.cell.measures.unrelated_nll, first.cell.measures.unrelated_nll);
  const edited = await measured({ unrelated: 71, heldOut: 81 });
  assert.is(edited.base.nll, edited.cell.curve[0]!.nll);
  assert.is.not(edited.base.nll, first.base.nll);
  assert.equal(await measured({ unrelated: 70, heldOut: 80 }), first);
});

const disk = smallDisk();

/** A folder on a disk of its own, 2 MiB large; undefined where this process may not mount one. */
function smallDisk(): string | undefined {
  const folder = freshFolder();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]);
  if (status !== 0) return undefined;
  process.on('exit', () => spawnSync('umount', ['-l', folder]));
  return folder;
}

(disk ? test : test.skip)('a disk that fills up: one line, and it goes on once there is room', async () => {
  const filler = join(disk!, 'filler');
  writeFileSync(filler, new Uint8Array(2 ** 21 - 200_000));
  const args = ['--config', small, '--out', 'out'];
  const full = await startProgram('study', args, { cwd: disk! }).ended;
  assert.is(full.code, 1, full.stderr);
  const errors = full.stderr.split('\n').filter((line) => line.startsWith('error: '));
  assert.is(errors.length, 1, full.stderr);
  assert.match(
    errors[0]!,
    /expected room on the disk, found none \(.*ENOSPC.*\); free some space, then give the same/,
  );
  rmSync(filler);
  const { code, stderr } = await startProgram('study', args, { cwd: disk! }).ended;
  assert.is(code, 0, stderr);
  assert.equal(timeless(join(disk!, 'out')), timeless(whole));
});

test('what is wrong with its file or folder is one line, and nothing is written', async () => {
  const cwd = freshFolder();
  const wrong = written('axes: {bacth: [2]}\nlength: {steps: 2}\n');
  const unknown = await startProgram('study', ['--config', wrong, '--out', 'out'], { cwd }).ended;
  assert.is(unknown.code, 2);
  assert.is(unknown.stderr, 'error: axes: unknown option bacth; did you mean batch?\n');
  assert.equal(readdirSync(cwd), []);
  const measures = written('length: {steps: 2}\nmeasures: {unrelated: none.jsonl}\n');
  const unmeasurable = await startProgram('study', ['--config', measures, '--out', 'out'], { cwd }).ended;
  assert.is(unmeasurable.code, 2);
  assert.match(unmeasurable.stderr, /^error: .*none\.jsonl: .*\n$/);
  assert.equal(readdirSync(cwd), []);
  const missing = await startProgram('study', ['--config', 'none.yaml', '--out', 'out'], { cwd }).ended;
  assert.is(missing.code, 2);
});

test.run();
