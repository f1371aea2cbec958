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
import { type Launcher, launchers, runRanks, startRanks } from '../world/mpirun.js';
import { KEEPALIVE, TwoHosts, whyNoHosts } from '../world/twoHosts.js';

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

/** By which the launcher has given up a host, and its ranks are gone. */
const KEEPALIVE_S = 30;

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

/** Four ranks of a run, from whose hosts the cable is pulled out after step 10. @returns when that was */
async function runAndCut(launcher: Launcher, input: TrainInput, cwd: string) {
  hosts!.cable('up');
  const ranks = startRanks(launcher, 4, [script, ...flags(input)], { cwd, limitMs: LIMIT_MS });
  while (!existsSync(join(cwd, 'run', 'checkpoints', 'step-00000010'))) await delay(20);
  assert.is(pidsIn(cwd).length, 4);
  hosts!.cable('down');
  return { ranks, cut: performance.now() };
}

/** Two ranks of one host go on where four of two were cut off. */
async function assertGoesOn(cwd: string): Promise<void> {
  const resumed = [script, ...flags({ ...options, resume: true })];
  const { code, stderr } = await runRanks(launchers[0]!, 2, resumed, { cwd, limitMs: LIMIT_MS });
  assert.is(code, 0, stderr);
  assertSameOutcome(join(cwd, 'run'), await undisturbed(fixture, options), 'after a cable was pulled out');
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;

onHosts('end with their launcher where it looks after its hosts, and go on elsewhere', async () => {
  const cwd = freshFolder();
  const { launcher } = hosts!;
  const watchful = { ...launcher, args: [...launcher.args, ...KEEPALIVE] };
  const { ranks, cut } = await runAndCut(watchful, options, cwd);
  const { code, stderr } = await ranks.ended;
  while (pidsIn(cwd).length > 0) await delay(100);
  console.log(`the launcher and all ranks had ended ${secondsSince(cut).toFixed(1)} s after the cut`);
  assert.ok(secondsSince(cut) < KEEPALIVE_S, stderr);
  assert.is.not(code, 0);
  assert.match(stderr, /lost communication with a remote daemon/);
  await assertGoesOn(cwd);
});

onHosts('end on both sides after --rank-timeout where it does not, and go on elsewhere', async () => {
  const cwd = freshFolder();
  const { rankTimeout, deferMs, graceMs } = PATIENCE;
  const { ranks, cut } = await runAndCut(hosts!.launcher, { ...options, rankTimeout }, cwd);
  while (pidsIn(cwd).length > 0) await delay(100);
  const seconds = secondsSince(cut);
  console.log(`all ranks had ended ${seconds.toFixed(1)} s after the cut, by --rank-timeout ${rankTimeout}`);
  // Open MPI's launcher waits for the other host until TCP gives up.
  hosts!.endAll();
  const { stderr } = await ranks.ended;
  assert.ok(1000 * seconds < 1000 * rankTimeout + deferMs + graceMs, stderr);
  const silent = 'ranks 1 \\(host rivulet-b\\), 3 \\(host rivulet-b\\)';
  const patterns = [
    `^waiting for ${silent}, silent for \\d+ s: step \\d+`,
    `^error: step \\d+.*: expected all ranks within .*, found no ${silent}.*--resume`,
  ];
  for (const pattern of patterns) assert.match(stderr, new RegExp(pattern, 'm'), stderr);
  await assertGoesOn(cwd);
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
