import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StudyRecord } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, makeJsonl } from '../fixtures.js';
import { projectRoot } from '../support.js';
import { type Ended, type Launcher, launchers, startRanks } from './mpirun.js';
import { piecesIn } from './pieces.js';

/** `mpirun -np N` of study, cache and tokenize. */

const fixture = makeFixture('rank-programs');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'ranks-'));
const heldOut = join(fixture.folder, 'heldout.jsonl');
writeFileSync(heldOut, makeJsonl(90, 8));

const start = (launcher: Launcher, ranks: number, program: string, args: string[], cwd: string) =>
  startRanks(launcher, ranks, [join(projectRoot, 'dist', `${program}.js`), ...args], {
    ...{ cwd, limitMs: 200_000 },
  });
const run = (...started: Parameters<typeof start>): Promise<Ended> => start(...started).ended;

/** Without the launcher's own words. */
const errorsOf = ({ stderr }: Ended) => stderr.split('\n').filter((line) => line.startsWith('error: '));

const config = join(fixture.folder, 'study.yaml');
writeFileSync(
  config,
  `options: {student: ${fixture.student}, data: ${fixture.jsonl}, evalData: ${heldOut}, evalTokens: 128, ` +
    'sequence: 16, shuffleRows: 16, threads: 1}\n' +
    'axes: {batch: [2, 4], lr: {from: 1.0e-2, points: 3, extensions: 1}}\n' +
    'seeds: {everywhere: 1, best: 2}\nlength: {tokens: 128}\ncurve: 1\ncheckpoints: 1\n',
);
const study = ['--config', config, '--out', 'out'];
const text = ['--data', fixture.jsonl, '--sequence', '16'];
const cache = ['--model', fixture.teacher, ...text, '--device', 'wasm', '--threads', '1', '--out', 'out'];
const tokenize = ['--model', fixture.student, ...text, '--out', 'out'];

/** What of a study depends on nothing but its file. */
function timeless(cwd: string): unknown {
  const record: StudyRecord = JSON.parse(readFileSync(join(cwd, 'out', 'cells.json'), 'utf8'));
  return {
    ...{ ...record, seconds: 0 },
    cells: record.cells.map((cell) => ({ ...cell, seconds: 0, command: '' })),
  };
}

const test = suite('programs as ranks');
const withMpi = launchers.length > 0 ? test : test.skip;

withMpi('study: three ranks come to the cells of one, and one of them tells', async () => {
  const [launcher] = launchers as readonly [Launcher];
  const [one, three] = [freshFolder(), freshFolder()];
  const alone = await run(launcher, 1, 'study', study, one);
  assert.is(alone.code, 0, alone.stderr);
  const together = await run(launcher, 3, 'study', study, three);
  assert.is(together.code, 0, together.stderr);
  assert.match(together.stderr, new RegExp(`^3 ranks over ${launcher.family} `, 'm'));
  assert.equal(timeless(three), timeless(one));
  assert.is(together.stdout, alone.stdout);
  const told = together.stderr.split('\n').filter((line) => /nll \d/.test(line));
  assert.is(told.length, readdirSync(join(three, 'out', 'cells')).filter((key) => !/\./.test(key)).length);
});

withMpi('study: a signal ends all ranks, and fewer go on', async () => {
  const [launcher] = launchers as readonly [Launcher];
  const [cwd, expected] = [freshFolder(), freshFolder()];
  const ranks = start(launcher, 3, 'study', study, cwd);
  const cells = join(cwd, 'out', 'cells');
  const hasCell = () => existsSync(cells) && readdirSync(cells).some((key) => isCell(join(cells, key)));
  while (!hasCell()) await delay(20);
  ranks.launcher.kill('SIGTERM');
  assert.is.not((await ranks.ended).code, 0);
  const again = await run(launcher, 2, 'study', study, cwd);
  assert.is(again.code, 0, again.stderr);
  await run(launcher, 1, 'study', study, expected);
  assert.equal(timeless(cwd), timeless(expected));
});

const isCell = (folder: string): boolean => existsSync(join(folder, 'cell.json'));

withMpi('cache: three ranks store the pieces of one', async () => {
  for (const launcher of launchers) {
    const [one, three] = [freshFolder(), freshFolder()];
    const alone = await run(launcher, 1, 'cache', [...cache, '--json'], one);
    assert.is(alone.code, 0, alone.stderr);
    const together = await run(launcher, 3, 'cache', [...cache, '--json'], three);
    assert.is(together.code, 0, together.stderr);
    const counts = ({ stdout }: Ended) => ({ ...JSON.parse(stdout), bytes: 0, seconds: 0 });
    assert.equal(counts(together), counts(alone));
    assert.equal(piecesIn(join(three, 'out')), piecesIn(join(one, 'out')));
  }
});

withMpi('tokenize: three ranks write the shards of one', async () => {
  const [launcher] = launchers as readonly [Launcher];
  const [one, three] = [freshFolder(), freshFolder()];
  const alone = await run(launcher, 1, 'tokenize', tokenize, one);
  const together = await run(launcher, 3, 'tokenize', tokenize, three);
  assert.is(together.code, 0, together.stderr);
  const untimed = ({ stdout }: Ended) => stdout.replace(/^speed .*$/m, '');
  assert.is(untimed(together), untimed(alone));
  const shards = readdirSync(join(one, 'out'));
  assert.equal(readdirSync(join(three, 'out')), shards);
  const bytes = (cwd: string, name: string) => readFileSync(join(cwd, 'out', name));
  for (const name of shards) assert.ok(bytes(three, name).equals(bytes(one, name)));
});

withMpi('what is wrong is one line from one rank, help is there once, and nothing is written', async () => {
  const [launcher] = launchers as readonly [Launcher];
  const missing = join(fixture.folder, 'nowhere');
  const wrong: [string, string[], RegExp][] = [
    ['study', ['--config', missing, '--out', 'out'], /nowhere/],
    ['cache', [...cache, '--model', missing], /nowhere/],
    ['tokenize', [...tokenize, '--model', missing], /nowhere/],
    ['tokenize', ['--modle', missing], /modle/],
  ];
  for (const [program, args, expected] of wrong) {
    const cwd = freshFolder();
    const ended = await run(launcher, 3, program, args, cwd);
    assert.is(ended.code, 2, ended.stderr);
    assert.is(errorsOf(ended).length, 1, ended.stderr);
    assert.match(errorsOf(ended)[0]!, expected);
    assert.is(ended.stdout, '');
    assert.equal(readdirSync(cwd), []);
  }
  const help = await run(launcher, 3, 'cache', ['--help'], freshFolder());
  assert.is(help.code, 0, help.stderr);
  assert.is(help.stdout.split('Usage: ').length, 2);
});

test.run();
