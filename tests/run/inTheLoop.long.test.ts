import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { bestOf, loopOptions } from './inTheLoop.js';
import { assertSameOutcome, killRuns, type Reference, undisturbed } from './kills.js';
import { outcomeOf as ranThrough, recordsOf } from './outcome.js';
import { flags, runProgram, startProgram } from './process.js';

/** What evaluations decide does not depend on how long they take, nor on where a run was killed or stopped. */

const fixture = makeFixture('in-the-loop-long');
/** As on a command line. */
const options = { ...loopOptions(fixture), evalTasks: 'winogrande,gsm8k' } as unknown as TrainInput;
const freshFolder = () => mkdtempSync(join(fixture.folder, 'loop-'));
const whole = freshFolder();
const reference: Reference = await undisturbed(fixture, options, whole);
/** A run that no step has told to wait is stopped this long after its first line of a step. */
const STEPPING_MS = 1500;
const MOST_STOPS = 5;
const slowly = [import.meta.resolve('./slowEvaluator.js')];

const assertSame = (cwd: string, what: string) => {
  assertSameOutcome(join(cwd, 'run'), reference, what);
  const [best, expected] = [cwd, whole].map((folder) => bestOf(join(folder, 'run')));
  assert.is(best!.step, expected!.step, `step of best/ ${what}`);
  for (const [name, bytes] of Object.entries(expected!.files)) {
    assert.ok(best!.files[name] === bytes, `best/${name} ${what}`);
  }
};

const test = suite('decisions of evaluations');

test('are the same where evaluations are slow', async () => {
  const cwd = freshFolder();
  const { code, stderr } = await runProgram('train', flags(options), { cwd, imports: slowly });
  assert.is(code, 0, stderr);
  assert.match(stderr, /^step \d+ {2}waits for the evaluation after step \d+$/m);
  assertSame(cwd, 'with slow evaluations');
});

test('are the same after kills at random instants', async () => {
  await killRuns(fixture, reference, 8, 5, options, (cwd) => assertSame(cwd, 'after kills'));
});

test('are the same after stops, also while a step waits for the evaluation that decides', async () => {
  const cwd = freshFolder();
  let stops = 0;
  for (let resume = false; ; resume = true) {
    const { child, ended, printed } = startProgram('train', flags({ ...options, resume }), {
      ...{ cwd, imports: slowly },
    });
    // A step that waits says so after a second; on a fast machine none may wait as long.
    const steps = printed(/^step /m).then(() => sleep(STEPPING_MS));
    const told = Promise.race([printed(/waits for the evaluation/), steps]);
    told.then(() => void (stops < MOST_STOPS && child.kill('SIGTERM'))).catch(() => {});
    const { code, stderr } = await ended;
    if (code === 0) break;
    assert.is(code, 143, stderr);
    stops++;
  }
  assert.ok(stops >= 1, `${stops} stops`);
  assertSame(cwd, `after ${stops} stops`);
});

test('a best that was lost or changed is put back from the checkpoint', async () => {
  const out = join(freshFolder(), 'run');
  const run = train({ ...options, out });
  run.metrics$.subscribe((record) => {
    if (record.type === 'step' && record.step === 8) run.stop();
  });
  await run.finished;
  assert.ok(readdirSync(out).includes('best'));
  rmSync(join(out, 'best'), { recursive: true });
  await train({ resume: true, out }).finished;
  assert.equal(bestOf(out).files, bestOf(join(whole, 'run')).files);
});

test('a run that they ended is over: resumed it is as it was, longer it is refused, and a fork goes on', async () => {
  const out = join(whole, 'run');
  const before = bestOf(out);
  const { code, stdout } = await runProgram('train', ['--resume', '--out', 'run'], { cwd: whole });
  assert.is(code, 0);
  assert.match(
    stdout,
    /^ended after step \d+: 3 evaluations in a row were no better than winogrande\/acc \S+ after step \d+\nthe best by nll, /,
  );
  assertSame(whole, 'resumed after its end');
  const again = await train({ resume: true, out }).finished;
  assert.ok(again.finished && again.earlyStop !== undefined && again.steps < options.steps!);
  assert.equal(bestOf(out), before);
  for (const change of [{ steps: 60 }, { epochs: 9 }] as Partial<TrainInput>[]) {
    assert.match(
      await inputErrorOf(() => train({ resume: true, out, ...change }).finished),
      /^--(steps|epochs): expected 30 steps or none given for a run that --early-stop ended after step \d+ \(the last 3 evaluations were no better than winogrande\/acc .* after step \d+\), found \d+; begin a new run there with --fork .*@\d+$/,
    );
  }
  assert.match(
    await inputErrorOf(() => train({ resume: true, out, evalEvery: 5 }).finished),
    /^--resume: expected the options of the run: --eval-every 3 \(found 5\)/,
  );
  const forked = await ranThrough({
    ...{ fork: `${out}@${again.steps}`, out: join(freshFolder(), 'fork'), earlyStop: 'nll:5' },
    steps: again.steps + 3,
  });
  assert.is(recordsOf(forked, 'end')[0]!.step, again.steps + 3);
  assert.ok(bestOf(forked.out).step >= again.steps);
});

test('every weight, too: best/ is a model', async () => {
  const outcome = await ranThrough({
    ...{ ...options, trainable: 'all', rank: undefined, steps: 4, evalEvery: 2, lr: 1e-3 },
    ...{ earlyStop: undefined, out: join(freshFolder(), 'run') },
  });
  const { files, step } = bestOf(outcome.out);
  assert.is(step, recordsOf(outcome, 'end')[0]!.best!.step);
  assert.ok(files['model.safetensors'] && files['config.json'] && files['tokenizer.json']);
});

test.run();
