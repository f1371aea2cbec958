import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

/** What options of a resumed or forked run come to; tests/run/options.long.test.ts has every single option. */

const folder = temporaryFolder('resolve');
const freshFolder = () => mkdtempSync(join(folder, 'run-'));
const base = { student: 'student', data: ['text.txt'], batch: 4, lr: 1e-2 };
const stored = freshFolder();
writeFileSync(
  join(stored, 'run.json'),
  JSON.stringify({ version: '0.1.0', options: { ...base, steps: 2, microBatch: 2, out: stored } }),
);

const resumes = suite('--resume');

resumes('needs --out', async () => {
  assert.match(
    await inputErrorOf(() => resolveOptions({ ...base, resume: true })),
    '--resume: expected --out',
  );
});

resumes('a folder without a run is named, unless the options to start one are there', async () => {
  const out = join(freshFolder(), 'run');
  const message = await inputErrorOf(() => resolveOptions({ resume: true, out }));
  assert.match(
    message,
    `--resume: expected a run in ${out}, found none; check --out; --student: expected MODEL`,
  );
  assert.is(resolveOptions({ ...base, resume: true, out }).options.lr, base.lr);
});

resumes('a length may change, and takes the place of the one before', () => {
  for (const length of [{ steps: 3 }, { tokens: 640 }, { epochs: 2 }]) {
    const { steps, tokens, epochs } = resolveOptions({ resume: true, out: stored, ...length }).options;
    assert.equal(
      { steps, tokens, epochs },
      { steps: undefined, tokens: undefined, epochs: undefined, ...length },
    );
  }
});

resumes('an option that would change nothing is refused, unless it says what the run has', async () => {
  const more = { teacherCache: 'states', saveDtype: 'bf16', evalEvery: 7 };
  const folder = freshFolder();
  const options = { ...base, steps: 2, evalFraction: 0 };
  const write = (recorded: object) =>
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ version: '0.1.0', options: recorded }));
  write(options);
  assert.match(
    await inputErrorOf(() => resolveOptions({ resume: true, out: folder, ...more })),
    /^--teacher-cache: expected --teacher MODEL with it, found --teacher none; leave one out; --save-dtype: .*; --eval-every: /,
  );
  write({ ...options, ...more });
  assert.is(resolveOptions({ resume: true, out: folder, ...more }).options.evalEvery, 7);
});

resumes.run();

const forks = suite('--fork');
const fork = `${stored}@2`;

forks('has the options of the run but its folder; another batch gets a micro-batch of its own', () => {
  const plain = resolveOptions({ fork, lr: 1 }).options;
  assert.equal(
    [plain.student, plain.batch, plain.microBatch, plain.steps, plain.lr, plain.out, plain.fork],
    ['student', 4, 2, 2, 1, undefined, fork],
  );
  const larger = resolveOptions({ fork, batch: 6, tokens: 1e6 }).options;
  assert.equal(
    [larger.batch, larger.microBatch, larger.steps, larger.tokens],
    [6, undefined, undefined, 1e6],
  );
});

forks('with another batch the steps of its epochs are counted anew', () => {
  const folder = freshFolder();
  const options = { ...base, steps: 15, epochs: 0.05, microBatch: 2 };
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ version: '0.1.0', options }));
  const [same, other] = [{}, { batch: 1 }].map(
    (change) => resolveOptions({ fork: `${folder}@7`, ...change }).options,
  );
  assert.equal([same!.steps, same!.epochs, same!.microBatch], [15, 0.05, 2]);
  assert.equal([other!.steps, other!.epochs, other!.microBatch], [undefined, 0.05, undefined]);
});

for (const [flag, change] of [
  ['--student', { student: 'other' }],
  ['--data', { data: ['other.txt'] }],
  ['--rank', { rank: 16 }],
  ['--seed', { seed: 1 }],
  ['--sequence', { sequence: 32 }],
  ['--target-modules', { targetModules: 'q_proj' }],
  ['--eval-fraction', { evalFraction: 0.1 }],
] as const) {
  forks(`${flag} may not change`, async () => {
    const message = await inputErrorOf(() => resolveOptions({ fork, ...change }));
    assert.match(message, `--fork: expected the options of the run: ${flag} `);
    assert.match(message, `(found ${Object.values(change)[0]})`);
  });
}

for (const [wrong, expected] of [
  ['run', '--fork: expected RUN@STEP, such as runs/0001@100, found run; add the step'],
  ['run@', '--fork: expected RUN@STEP'],
  ['run@last', '--fork: expected RUN@STEP'],
  ['nowhere@3', '--fork: expected a run in nowhere, found none; check the path'],
] as const) {
  forks(wrong, async () => assert.match(await inputErrorOf(() => resolveOptions({ fork: wrong })), expected));
}

forks.run();
