import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import type { TrainInput } from '#src/options/train.js';
import { makeFixture } from '../fixtures.js';
import { assertSameOutcome, killRuns, outcomeOf, runOptions, undisturbed } from './kills.js';
import { adapterBytes, type Ending, flags, runProgram, startProgram, timelessMetrics } from './process.js';

const fixture = makeFixture('resume');
const options = runOptions(fixture);
const reference = await undisturbed(fixture);
const freshFolder = () => mkdtempSync(join(fixture.folder, 'resume-'));

const train = (cwd: string, given: Partial<TrainInput>) => runProgram('train', flags(given), { cwd });

/** Starts a run and sends it a signal as soon as it has printed its first step. */
async function signalled(cwd: string, signal: NodeJS.Signals, given: Partial<TrainInput>): Promise<Ending> {
  const { child, ended, printed } = startProgram('train', flags(given), { cwd });
  await printed(/^step +1\//m);
  child.kill(signal);
  return ended;
}

/** The arguments of the command that a stopped run prints. */
function resumeArguments({ code, stdout, stderr }: Ending, expected: number): string[] {
  assert.is(code, expected, stderr);
  const [, command] = /^ +node \S*dist\/train\.js (.*--resume.*)$/m.exec(stdout) ?? [];
  assert.ok(command, `expected the command that resumes, found ${stdout}`);
  return command!.split(' ');
}

const kills = suite('SIGKILL');

kills('at random instants, twenty times, changes no byte of the outcome', async () => {
  assert.is((await killRuns(fixture, reference, 20, 1)).length, 20);
});

kills('before anything was written: --resume starts the run', async () => {
  const cwd = freshFolder();
  const { child, ended } = startProgram('train', flags(options), { cwd });
  child.kill('SIGKILL');
  assert.is((await ended).signal, 'SIGKILL');
  assert.not(existsSync(join(cwd, 'run')));
  assert.is((await train(cwd, { ...options, resume: true })).code, 0);
  assertSameOutcome(join(cwd, 'run'), reference, 'after a kill before anything was written');
});

kills('before the first checkpoint: the resumed run records the same start', async () => {
  const cwd = freshFolder();
  const { microBatch: _, ...chosen } = options;
  const longer = { ...chosen, steps: 100, checkpointEvery: 100 };
  assert.is((await signalled(cwd, 'SIGKILL', longer)).signal, 'SIGKILL');
  const start = timelessMetrics(join(cwd, 'run'))[0]!;
  await signalled(cwd, 'SIGTERM', { ...longer, resume: true });
  assert.is(timelessMetrics(join(cwd, 'run'))[0], start);
});

kills.run();

const signals = suite('SIGTERM and SIGINT');

signals(
  'SIGTERM: a checkpoint, the adapter so far, and a command that goes on as if nothing had happened',
  async () => {
    const cwd = freshFolder();
    const stopped = await signalled(cwd, 'SIGTERM', options);
    const steps = listCheckpoints(join(cwd, 'run/checkpoints')).at(-1)!.step;
    assert.match(stopped.stdout, `stopped after step ${steps};`);
    assert.ok(steps < options.steps!, 'stopped before the end');
    assert.match(stopped.stdout, 'its weights are in run/adapter;');
    const saved = join(cwd, 'run', 'checkpoints', `step-${String(steps).padStart(8, '0')}`);
    assert.ok(adapterBytes(join(cwd, 'run')).equals(adapterBytes(saved)));
    const { code, stderr } = await runProgram('train', resumeArguments(stopped, 143), { cwd });
    assert.is(code, 0, stderr);
    assertSameOutcome(join(cwd, 'run'), reference, `after SIGTERM at step ${steps}`);
  },
);

signals('SIGINT: the resumed run may change what has no influence on the adapter', async () => {
  const cwd = freshFolder();
  resumeArguments(await signalled(cwd, 'SIGINT', options), 130);
  const changed = { resume: true, out: 'run', threads: 2, evalEvery: 5, checkpointEvery: 5, keep: 1 };
  const { code, stderr } = await train(cwd, changed);
  assert.is(code, 0, stderr);
  assert.ok(outcomeOf(join(cwd, 'run')).adapter.equals(reference.adapter));
  const left = listCheckpoints(join(cwd, 'run/checkpoints')).map(({ step }) => step);
  assert.equal(left, [options.steps]);
});

signals('resuming a finished run changes nothing', async () => {
  const cwd = freshFolder();
  const short = { ...options, steps: 2 };
  assert.is((await train(cwd, short)).code, 0);
  const before = outcomeOf(join(cwd, 'run'));
  const again = await train(cwd, { ...short, resume: true });
  assert.is(again.code, 0, again.stderr);
  assert.match(again.stdout, /^the run in run was finished after step 2, and is as it was; /);
  assertSameOutcome(join(cwd, 'run'), before, 'after a resume of a finished run');
});

signals.run();
