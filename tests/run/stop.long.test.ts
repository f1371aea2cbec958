import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, makeText } from '../fixtures.js';
import { projectRoot } from '../support.js';
import { assertSameOutcome, outcomeOf } from './kills.js';
import { adapterBytes, flags, runProgram, startProgram, timelessMetrics } from './process.js';

/** Runs that are asked to end, at any time, and runs that nobody watches any more. */

const fixture = makeFixture('stop');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'stop-'));
const options: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 4, sequence: 16, shuffleRows: 16 },
  ...{ evalFraction: 0, threads: 1, steps: 6, checkpointEvery: 100 },
};
const LIMIT_MS = 5000;

const test = suite('a run that is stopped');

/** A text that the loader takes long to read: a block of rows is filled before the first step. */
const long = join(fixture.folder, 'long.txt');
writeFileSync(long, makeText(5, 20_000).repeat(40));

for (const [when, pattern] of [
  ['while it loads and reads', /memory/],
  ['as soon as it listens', undefined],
] as const) {
  test(`${when}: ends at once, says so, and takes its folder away`, async () => {
    const cwd = freshFolder();
    const slow = { ...options, data: [long], shuffleRows: 1_000_000 };
    const imports = pattern ? [] : [import.meta.resolve('./interrupted.js')];
    const { child, ended, printed } = startProgram('train', flags(slow), { cwd, imports });
    if (pattern) await printed(pattern);
    const start = performance.now();
    if (pattern) child.kill('SIGTERM');
    const { code, stdout } = await ended;
    if (pattern) assert.ok(performance.now() - start < LIMIT_MS);
    assert.is(code, pattern ? 143 : 130);
    assert.is(stdout, 'stopped before the first step was done; nothing is saved; nothing was written\n');
    assert.equal(readdirSync(cwd), []);
  });
}

test('amid a step that takes for ever: ends with the steps before it, and once resumed with the same bytes', async () => {
  const cwd = freshFolder();
  const endless = { ...options, evalFraction: 0.2, evalTokens: 64, steps: 100, out: 'run' };
  const whole = freshFolder();
  assert.is((await runProgram('train', flags(endless), { cwd: whole })).code, 0);
  const env = { BREAK_WORKER: 'loader', BREAK_HOW: 'stall', BREAK_WHEN: 'step' };
  const imports = [import.meta.resolve('./breakWorker.js')];
  const { child, ended, printed } = startProgram('train', flags(endless), { cwd, imports, env });
  await printed(/BROKEN NOW/);
  const start = performance.now();
  child.kill('SIGHUP');
  const { code, stdout, stderr } = await ended;
  assert.ok(performance.now() - start < LIMIT_MS, stderr);
  assert.is(code, 129, stderr);
  const [, step] = /^stopped after step (\d+); its weights are in (.*); to continue:\n/.exec(stdout) ?? [];
  assert.ok(Number(step) >= 1 && Number(step) < 100, stdout);
  assert.ok(existsSync(join(cwd, 'run/adapter/adapter_model.safetensors')));
  const resumed = await runProgram('train', flags({ resume: true, out: 'run' } as TrainInput), { cwd });
  assert.is(resumed.code, 0, resumed.stderr);
  assertSameOutcome(
    join(cwd, 'run'),
    outcomeOf(join(whole, 'run')),
    `after a stop amid step ${Number(step) + 1}`,
  );
});

/** Takes seconds to evaluate, so that a stop comes before the first evaluation is done. */
const heldOut = join(fixture.folder, 'heldOut.txt');
writeFileSync(heldOut, makeText(7, 30_000));
const evaluated = { ...options, evalData: heldOut, evalTokens: 1e9, steps: 6 };

for (const [when, evalEvery] of [
  ['during an evaluation', 100],
  ['while a step waits for the evaluation before it', 2],
] as const) {
  test(`${when}: all steps are saved, and once resumed the bytes are the same`, async () => {
    const [out, whole] = ['run', 'whole'].map((name) => join(fixture.folder, `${name}-${evalEvery}`)) as [
      string,
      string,
    ];
    const given = { ...evaluated, evalEvery, out };
    await train(given).finished;
    renameSync(out, whole);
    const run = train(given);
    run.metrics$.subscribe((record) => {
      if (record.type === 'step' && record.step === 2) run.stop();
    });
    const { steps, unsaved, finished } = await run.finished;
    assert.equal([steps, unsaved, finished], [2, undefined, false]);
    const checkpoint = join(out, 'checkpoints/step-00000002');
    const { held } = JSON.parse(readFileSync(join(checkpoint, 'state.json'), 'utf8'));
    assert.equal(held[0], { evaluation: 0 });
    assert.ok(existsSync(join(checkpoint, 'snapshot.safetensors')));
    await train({ resume: true, out }).finished;
    assertSameOutcome(out, outcomeOf(whole), when);
  });
}

test('a resume that is stopped before it went on leaves the run as it was', async () => {
  const out = join(freshFolder(), 'run');
  await train({ ...options, steps: 2, out }).finished;
  const before = readFileSync(join(out, 'metrics.jsonl'));
  const run = train({ ...options, steps: 2, resume: true, out });
  run.stop();
  const { steps, finished, adapter } = await run.finished;
  assert.equal([steps, finished, adapter], [2, false, join(out, 'checkpoints/step-00000002/adapter')]);
  assert.ok(readFileSync(join(out, 'metrics.jsonl')).equals(before));
});

test.run();

const lost = suite('a terminal that is gone');

/** Runs in a shell whose reader ends after `lines` lines; waits for the run's own end. */
const piped = (cwd: string, pipe: string, given: TrainInput): Promise<void> =>
  new Promise((resolve) => {
    const script = join(projectRoot, 'dist/train.js');
    const args = flags(given).map((arg) => `'${arg}'`);
    const command = `('${process.execPath}' '${script}' ${args.join(' ')}; echo $? > code) ${pipe}`;
    spawn('sh', ['-c', command], { cwd, stdio: 'ignore' }).on('close', () => resolve());
  });

const posix = process.platform === 'win32' ? lost.skip : lost;

for (const pipe of ['2>&1 | head -2', '2>&1 | :', '2>&- >&-', '2>&1 >&- | head -1']) {
  posix(`${pipe}: the run goes on to its end`, async () => {
    const cwd = freshFolder();
    await piped(cwd, pipe, { ...options, out: 'run' });
    while (!existsSync(join(cwd, 'code'))) await new Promise(setImmediate);
    assert.is(readFileSync(join(cwd, 'code'), 'utf8'), '0\n');
    assert.is(timelessMetrics(join(cwd, 'run')).length, 9);
    assert.ok(adapterBytes(join(cwd, 'run')).length > 0);
  });
}

lost.run();
