/**
 * One short run as a user would start it: train, then evaluate with the adapter and without; the adapter must help.
 * `node build/tests/realRun.js`, with the models and text of the shared folder where they are, else with made ones.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFixture } from './fixtures.js';
import { runProgram } from './run/process.js';
import { sharedPath, temporaryFolder } from './support.js';

function inputs(): { student: string; teacher: string; text: string } {
  const student = sharedPath('data/models/stories260k');
  const teacher = sharedPath('data/models/teacher-3m');
  const text = sharedPath('data/text/tinystories.txt');
  return student && teacher && text ? { student, teacher, text } : makeFixture('real-run');
}

async function run(name: 'train' | 'evaluate', args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(name, args, { cwd: temporaryFolder('real-run') });
  process.stdout.write(`${stderr}${stdout}`);
  if (code !== 0) throw new Error(`expected ${name} to exit with code 0, found ${code}`);
  return stdout;
}

const { student, teacher, text } = inputs();
const folder = temporaryFolder('real-run');
const [out, tail] = [join(folder, 'run'), join(folder, 'tail.txt')];
writeFileSync(tail, readFileSync(text, 'utf8').slice(-20_000));
const models = ['--student', student, '--teacher', teacher, '--data', text];
const size = ['--batch', '16', '--sequence', '64', '--steps', '20', '--lr', '1e-2', '--eval-tokens', '4096'];
await run('train', [...models, ...size, '--out', out]);
const records = ['', 'adapter'].map(async (adapter) => {
  const given = adapter ? ['--adapter', join(out, adapter)] : [];
  const scored = ['--perplexity', tail, '--sequence', '64', '--json'];
  return JSON.parse(await run('evaluate', ['--model', student, ...given, ...scored])) as { nll: number };
});
const [before, after] = await Promise.all(records);
if (!(after!.nll < before!.nll)) {
  throw new Error(
    `expected the adapter to lower the loss of ${tail} from ${before!.nll}, found ${after!.nll}`,
  );
}
