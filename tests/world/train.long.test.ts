import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture } from '../fixtures.js';
import { loopOptions } from '../run/inTheLoop.js';
import { assertSameOutcome, runOptions, undisturbed } from '../run/kills.js';
import { flags } from '../run/process.js';
import { projectRoot } from '../support.js';
import { type Ended, type Launcher, launchers, type Ranks, runRanks, startRanks } from './mpirun.js';

/** Real ranks train what one process trains, to the byte, and end together. */

const fixture = makeFixture('ranks');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'ranks-'));
const script = join(projectRoot, 'dist', 'train.js');
const LIMIT_MS = 120_000;

/** Eight leaves: three ranks have 3, 3 and 2 of them, which are two parts each, and the last one a whole part. */
const options: TrainInput = { ...runOptions(fixture), microBatch: 1, steps: 6 };

const start = (launcher: Launcher, ranks: number, input: TrainInput, cwd: string): Ranks =>
  startRanks(launcher, ranks, [script, ...flags(input)], { cwd, limitMs: LIMIT_MS });
const run = (...started: Parameters<typeof start>): Promise<Ended> => start(...started).ended;

function optimizerOf(cwd: string): Buffer {
  const checkpoints = join(cwd, 'run', 'checkpoints');
  return readFileSync(join(checkpoints, readdirSync(checkpoints).sort().at(-1)!, 'optimizer.safetensors'));
}

/** Lines of ours, without the launcher's own words. */
const errorsOf = ({ stderr }: Ended) => stderr.split('\n').filter((line) => line.startsWith('error: '));

const alone = freshFolder();
const reference = await undisturbed(fixture, options, alone);

const test = suite('ranks that train');
const withMpi = launchers.length > 0 ? test : test.skip;

withMpi('have the bytes of one process, as one, two and three ranks', async () => {
  for (const launcher of launchers) {
    for (const ranks of [1, 2, 3]) {
      const cwd = freshFolder();
      const { code, stderr } = await run(launcher, ranks, options, cwd);
      assert.is(code, 0, stderr);
      assert.match(stderr, new RegExp(`^  ranks     ${ranks} by ${launcher.family} `, 'm'));
      assertSameOutcome(join(cwd, 'run'), reference, `on ${ranks} ranks of ${launcher.family}`);
      assert.ok(optimizerOf(cwd).equals(optimizerOf(alone)), `optimizer of ${ranks} ranks`);
    }
  }
});

withMpi('share tasks and written answers out, which come to the same', async () => {
  const asked = { ...loopOptions(fixture), evalTasks: 'winogrande,gsm8k', microBatch: 1 };
  const input = asked as unknown as TrainInput;
  const expected = await undisturbed(fixture, input, freshFolder());
  const cwd = freshFolder();
  const { code, stderr } = await run(launchers[0]!, 3, input, cwd);
  assert.is(code, 0, stderr);
  assertSameOutcome(join(cwd, 'run'), expected, 'with evaluations on 3 ranks');
});

withMpi('go on on another number of ranks after one of them was killed', async () => {
  for (const launcher of launchers) {
    const cwd = freshFolder();
    const dying = { ...options, steps: 6, checkpointEvery: 1 };
    const ranks = start(launcher, 3, dying, cwd);
    const isThere = () => existsSync(join(cwd, 'run', 'checkpoints', 'step-00000002'));
    while (!isThere()) await delay(20);
    const killed = performance.now();
    process.kill(pidsOf(ranks)[1]!, 'SIGKILL');
    const { code } = await ranks.ended;
    assert.ok(performance.now() - killed < 10_000, 'all end within 10 s');
    assert.is.not(code, 0);
    const expected = await undisturbed(fixture, dying, freshFolder());
    const { code: second, stderr } = await run(launcher, 2, { ...dying, resume: true }, cwd);
    assert.is(second, 0, stderr);
    assertSameOutcome(join(cwd, 'run'), expected, 'after a killed rank, on 2 ranks');
  }
});

withMpi('are refused in one line, and write nothing', async () => {
  const [launcher] = launchers as readonly [Launcher];
  const cases: [number, TrainInput, RegExp][] = [
    [3, { ...options, rank: 0 }, /^error: --rank: expected at least 1, found 0$/],
    [
      3,
      { ...options, microBatch: 4 },
      /^error: --batch: expected at least as many micro-batches .* 2 for 3 /,
    ],
    [2, { ...options, data: [join(fixture.folder, 'nowhere.txt')] }, /^error: .*nowhere\.txt/],
  ];
  for (const [ranks, input, expected] of cases) {
    const cwd = freshFolder();
    const ended = await run(launcher, ranks, input, cwd);
    assert.is(ended.code, 2, ended.stderr);
    assert.is(errorsOf(ended).length, 1, ended.stderr);
    assert.match(errorsOf(ended)[0]!, expected);
    assert.equal(readdirSync(cwd), []);
  }
});

withMpi('tell the first difference between their options', async () => {
  for (const launcher of launchers) {
    const cwd = freshFolder();
    const node = (input: TrainInput) => [process.execPath, script, ...flags(input)];
    const other = [':', '-np', '1', ...node({ ...options, lr: 2e-2 })];
    const ended = await runRanks(launcher, 1, [...node(options).slice(1), ...other], { cwd });
    assert.is(ended.code, 2, ended.stderr);
    assert.is(errorsOf(ended).length, 1, ended.stderr);
    assert.match(errorsOf(ended)[0]!, /^error: --lr: expected 0\.01 on all ranks.* found 0\.02 on rank 1 \(/);
    assert.equal(readdirSync(cwd), []);
  }
});

withMpi('plan together, a line for each, and write nothing', async () => {
  const cwd = freshFolder();
  const { code, stdout, stderr } = await run(launchers[0]!, 3, { ...options, dryRun: true }, cwd);
  assert.is(code, 0, stderr);
  const lines = stdout.split('\n').filter((line) => /^# {13}\d {2}/.test(line));
  assert.equal(
    lines.map((line) => /micro-batches \d+ to \d+/.exec(line)![0]),
    ['micro-batches 1 to 3', 'micro-batches 4 to 6', 'micro-batches 7 to 8'],
  );
  assert.equal(readdirSync(cwd), []);
});

/** Processes of the ranks, in order. */
function pidsOf({ launcher }: Ranks): number[] {
  const children = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  const below = (pid: number): number[] => children(pid).flatMap((child) => [child, ...below(child)]);
  return below(launcher.pid!).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(process.execPath),
  );
}

test.run();
