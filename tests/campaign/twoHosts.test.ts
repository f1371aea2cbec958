import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture } from '../fixtures.js';
import { assertSameOutcome, runOptions, undisturbed } from '../run/kills.js';
import { flags } from '../run/process.js';
import { projectRoot } from '../support.js';
import { launchers, runRanks, startRanks } from '../world/mpirun.js';
import { TwoHosts, whyNoHosts } from '../world/twoHosts.js';

/** Ranks on two hosts, which have a cable of 1 Gbit/s between them. */

const reason = whyNoHosts();
const test = suite('two hosts');
const onHosts = reason === undefined ? test : test.skip;
if (reason !== undefined) console.log(`skipped: ${reason}`);

const fixture = makeFixture('two-hosts');
const script = join(projectRoot, 'dist', 'train.js');
const LIMIT_MS = 180_000;
const freshFolder = () => mkdtempSync(join(fixture.folder, 'run-'));
const options: TrainInput = {
  ...runOptions(fixture),
  microBatch: 1,
  steps: 100,
  checkpointEvery: 5,
  evalEvery: 50,
};
/** Ranks that know of none but themselves wait 8 s longer. */
const PATIENCE = { rankTimeout: 12, deferMs: 8000, graceMs: 7000 };

const hosts = reason === undefined ? new TwoHosts('1gbit') : undefined;
test.after(() => hosts?.close());

onHosts('train what one process trains, to the byte', async () => {
  const short = { ...options, steps: 12 };
  const expected = await undisturbed(fixture, short);
  for (const ranks of [2, 3, 4]) {
    const cwd = freshFolder();
    const started = [script, ...flags(short)];
    const { code, stderr } = await runRanks(hosts!.launcher, ranks, started, { cwd, limitMs: LIMIT_MS });
    assert.is(code, 0, stderr);
    assert.match(stderr, /^ +0 {2}rivulet-a: /m);
    assert.match(stderr, /^ +1 {2}rivulet-b: /m);
    assertSameOutcome(join(cwd, 'run'), expected, `on ${ranks} ranks of two hosts`);
  }
});

onHosts('end on both sides of a cable that is pulled out, and go on elsewhere', async () => {
  const expected = await undisturbed(fixture, options);
  const cwd = freshFolder();
  const { rankTimeout, deferMs, graceMs } = PATIENCE;
  const started = [script, ...flags({ ...options, rankTimeout })];
  const ranks = startRanks(hosts!.launcher, 4, started, { cwd, limitMs: LIMIT_MS });
  while (!existsSync(join(cwd, 'run', 'checkpoints', 'step-00000010'))) await delay(20);
  assert.is(pidsIn(cwd).length, 4);
  hosts!.cut();
  const cut = performance.now();
  while (pidsIn(cwd).length > 0) await delay(100);
  const seconds = (performance.now() - cut) / 1000;
  // Open MPI's launcher waits for the other host until TCP gives up.
  hosts!.endAll();
  const { stderr } = await ranks.ended;
  assert.ok(1000 * seconds < 1000 * rankTimeout + deferMs + graceMs, `${seconds} s`);
  const silent = 'ranks 1 \\(host rivulet-b\\), 3 \\(host rivulet-b\\)';
  assert.match(stderr, new RegExp(`^waiting for ${silent}, silent for \\d+ s: step \\d+`, 'm'));
  assert.match(
    stderr,
    new RegExp(`^error: step \\d+.*: expected all ranks within .*, found no ${silent}.*--resume`, 'm'),
    stderr,
  );
  console.log(
    `all ranks had ended ${seconds.toFixed(1)} s after the cut, with --rank-timeout ${rankTimeout}`,
  );
  const resumed = [script, ...flags({ ...options, resume: true })];
  const { code, stderr: said } = await runRanks(launchers[0]!, 2, resumed, { cwd, limitMs: LIMIT_MS });
  assert.is(code, 0, said);
  assertSameOutcome(join(cwd, 'run'), expected, 'after a cable was pulled out');
});

/** Processes that work in a folder. */
const pidsIn = (folder: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isRankIn(pid, folder));

function isRankIn(pid: number, folder: string): boolean {
  try {
    const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return (
      program === process.execPath && args.includes(script) && readlinkSync(`/proc/${pid}/cwd`) === folder
    );
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

test.run();
