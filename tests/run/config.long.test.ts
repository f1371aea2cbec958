import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { adapterBytes, runProgram } from './process.js';

const fixture = makeFixture('config');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'config-'));

const CONFIG = `
student: ${fixture.student}
teacher: ${fixture.teacher}
data: ${fixture.text}
batch: 4
sequence: 16
shuffle-rows: 16
steps: 2
eval-fraction: 0
threads: 1
lr: 1e-2
`;

/** A fresh folder with `run.yaml` in it. */
function folderWith(config: string): { cwd: string; config: string } {
  const cwd = freshFolder();
  writeFileSync(join(cwd, 'run.yaml'), config);
  return { cwd, config: join(cwd, 'run.yaml') };
}

const storedOptions = (run: string) =>
  (JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')) as { options: Record<string, unknown> }).options;

const files = suite('--config');

files('the command line wins over the file, the file over the defaults; all of it is stored', async () => {
  const { cwd } = folderWith(CONFIG);
  const { code, stderr } = await runProgram(
    'train',
    ['--config', 'run.yaml', '--lr', '0.02', '--out', 'run'],
    {
      cwd,
    },
  );
  assert.is(code, 0, stderr);
  const { lr, batch, rank, config } = storedOptions(join(cwd, 'run'));
  assert.equal({ lr, batch, rank, config }, { lr: 0.02, batch: 4, rank: 8, config: undefined });
});

files('steps on the command line replace tokens in the file', () => {
  const { config } = folderWith('student: s\ndata: d\ntokens: 1000\n');
  const { steps, tokens } = resolveOptions({ config, steps: 7 }).options;
  assert.equal({ steps, tokens }, { steps: 7, tokens: undefined });
});

files('the file counts as given when a run is resumed', async () => {
  const { cwd, config } = folderWith(CONFIG);
  const out = join(cwd, 'run');
  const begun = await runProgram('train', ['--config', config, '--out', out], { cwd });
  assert.is(begun.code, 0, begun.stderr);
  assert.is(resolveOptions({ config, resume: true, out }).options.lr, 1e-2);
  writeFileSync(config, CONFIG.replace('lr: 1e-2', 'lr: 5e-2\nkeep: 5'));
  assert.match(
    await inputErrorOf(() => resolveOptions({ config, resume: true, out })),
    /^--resume: expected the options of the run: --lr 0\.01 \(found 0\.05\); /,
  );
  writeFileSync(config, `${CONFIG}\nkeep: 5\nout: ${out}\nresume: true\n`);
  assert.is(resolveOptions({ config }).options.keep, 5);
});

files('what is wrong in it: one line, exit 2, nothing written', async () => {
  const { cwd } = folderWith(`${CONFIG}warmpu: 3\n`);
  const { code, stdout, stderr } = await runProgram('train', ['--config', 'run.yaml', '--out', 'run'], {
    cwd,
  });
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.is(stderr, 'error: run.yaml:12: unknown option warmpu; did you mean warmup?\n');
  assert.equal(readdirSync(cwd), ['run.yaml']);
});

files.run();

const plans = suite('--dry-run');

plans('prints the plan and the options as a config file, and writes nothing', async () => {
  const { cwd } = folderWith(CONFIG);
  const args = ['--config', 'run.yaml', '--out', 'run'];
  const { code, stdout, stderr } = await runProgram('train', [...args, '--dry-run'], { cwd });
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  assert.equal(readdirSync(cwd), ['run.yaml']);
  const comments = stdout.split('\n').filter((line) => line.startsWith('#'));
  for (const pattern of [
    /student taught by .*teacher on 1 thread/,
    /rank 8, [\d,]+ parameters -> run$/,
    /batch +4 x 16 tokens in micro-batches of 4$/,
    /length +2 steps, 128 tokens$/,
    /memory +student \d+ MiB, teacher \d+ MiB$/,
    /time +about 0:0\d \([\d.e-]+ s a step; /,
  ]) {
    assert.is(
      comments.filter((line) => pattern.test(line)).length,
      1,
      `${pattern} in ${comments.join('\n')}`,
    );
  }
  const begun = await runProgram('train', args, { cwd });
  assert.is(begun.code, 0, begun.stderr);
  writeFileSync(join(cwd, 'planned.yaml'), stdout);
  const again = await runProgram('train', ['--config', 'planned.yaml', '--out', 'again'], { cwd });
  assert.is(again.code, 0, again.stderr);
  assert.ok(adapterBytes(join(cwd, 'again')).equals(adapterBytes(join(cwd, 'run'))));
  const [planned, stored] = ['again', 'run'].map((run) => storedOptions(join(cwd, run)));
  assert.equal({ ...planned, out: 'run' }, stored);
});

plans('recomputed blocks are in the plan', async () => {
  const { cwd } = folderWith(CONFIG);
  const args = ['--config', 'run.yaml', '--recompute', 'on', '--dry-run'];
  const { code, stdout, stderr } = await runProgram('train', args, { cwd });
  assert.is(code, 0, stderr);
  assert.match(stdout, /^# +batch .* tokens in micro-batches of 4, recomputing blocks$/m);
  assert.match(stdout, /^recompute: on$/m);
});

plans('a folder that holds a run is refused here, too', async () => {
  const { cwd } = folderWith(CONFIG);
  writeFileSync(join(cwd, 'run.json'), '{}');
  const { code, stderr } = await runProgram('train', ['--config', 'run.yaml', '--out', '.', '--dry-run'], {
    cwd,
  });
  assert.is(code, 2);
  assert.match(stderr, /^error: --out: expected a folder without a run/);
  assert.not(existsSync(join(cwd, 'metrics.jsonl')));
});

plans.run();
