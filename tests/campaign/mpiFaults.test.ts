import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, type Launcher, launchers, startRanks } from '../world/mpirun.js';

/** Ranks that die, stop or come late: who says what, and that all end. */

const faults = suite('mpi faults');
const program = fileURLToPath(new URL('../world/rankProgram.js', import.meta.url));
const RANKS = 3;
const PATIENCE = JSON.stringify({ sayAfterMs: 2000, endAfterMs: 8000 });

const start = (launcher: Launcher, name: string) => startRanks(launcher, RANKS, [program, name, PATIENCE]);

/** What the ranks themselves say; launchers add a page of their own. */
const told = ({ stderr }: Ended) =>
  stderr.split('\n').filter((line) => /^(waiting|going|error|\s+at )/.test(line));

/** Of ranks that have said so. */
const pidsIn = (stdout: string) => [...stdout.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));

/** Nobody may have waited for one that has ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function assertGone(pids: readonly number[], withinMs: number): Promise<void> {
  assert.is(pids.length, RANKS);
  const end = performance.now() + withinMs;
  while (pids.some(isAlive) && performance.now() < end) await sleep(50);
  assert.equal(pids.filter(isAlive), []);
}

if (launchers.length === 0) faults.skip('no mpirun is installed', () => {});

for (const launcher of launchers) {
  const test = (name: string, work: () => Promise<void>) => faults(`${launcher.family}: ${name}`, work);

  for (const [how, lines] of [
    ['killed', []],
    ['exits', ['error: the disk is full']],
    ['aborts', ['error: the disk is full']],
  ] as const) {
    test(`a rank ${how}: all end, and nothing is said twice`, async () => {
      const ranks = start(launcher, how);
      await ranks.said('pid', RANKS);
      const begun = performance.now();
      const ended = await ranks.ended;
      await assertGone(pidsIn(ended.stdout), 1000);
      assert.ok(performance.now() - begun < 10_000);
      assert.is.not(ended.code, 0);
      assert.equal(told(ended), lines);
    });
  }

  for (const [how, signal] of [
    ['waits', 'SIGKILL'],
    ['waitsInMeeting', 'SIGKILL'],
    ['waitsInMeeting', 'SIGTERM'],
  ] as const) {
    test(`mpirun gets ${signal} while its ranks are those of '${how}': none is left`, async () => {
      const ranks = start(launcher, how);
      await ranks.said('ready', RANKS);
      ranks.launcher.kill(signal);
      const ended = await ranks.ended;
      await assertGone(pidsIn(ended.stdout), 10_000);
      assert.equal(told(ended), []);
    });
  }

  for (const [how, late] of [
    ['late', 2],
    ['firstIsLate', 0],
  ] as const) {
    test(`rank ${late} is late: it is named, once`, async () => {
      const ended = await start(launcher, how).ended;
      assert.is(ended.code, 0, ended.stderr);
      const [waiting, going, ...more] = told(ended);
      assert.match(waiting!, new RegExp(`^waiting for rank ${late} \\(host .+\\): step 12: gradients$`));
      assert.match(going!, /^going on after \d+ s: step 12: gradients$/);
      assert.equal(more, []);
    });
  }

  for (const [how, silent] of [
    ['lastStops', 2],
    ['firstStops', 0],
  ] as const) {
    test(`rank ${silent} stops: it is named, and all end after the limit`, async () => {
      const ended = await start(launcher, how).ended;
      await assertGone(pidsIn(ended.stdout), 5000);
      assert.is.not(ended.code, 0);
      const [waiting, error, ...more] = told(ended);
      const named = `rank ${silent} \\(host .+\\)(, silent for \\d+ s)?`;
      assert.match(waiting!, new RegExp(`^waiting for ${named}: step 12: gradients$`));
      assert.match(
        error!,
        new RegExp(
          `^error: step 12: gradients: expected all ranks within 8 s, found no ${named}; a training run`,
        ),
      );
      assert.equal(more, []);
    });
  }

  test('a rank that waits leaves its core to others', async () => {
    const { stdout, code } = await start(launcher, 'waitingCosts').ended;
    assert.is(code, 0);
    assert.ok(Number(/share (\S+)/.exec(stdout)![1]) < 0.1, stdout);
  });
}

faults.run();
