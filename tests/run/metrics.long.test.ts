import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  InputError,
  type MetricsRecord,
  type Run,
  RunError,
  type RunResult,
  type TrainInput,
  train,
} from 'rivulet';
import { lastValueFrom, take, toArray } from 'rxjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listCheckpoints } from '#src/formats/checkpointFiles.js';
import { makeFixture, makeText } from '../fixtures.js';

/** The library as its users import it: by the package's name. */

const fixture = makeFixture('metrics');
const freshOptions = (): TrainInput => ({
  student: fixture.student,
  data: [fixture.jsonl],
  batch: 4,
  microBatch: 2,
  sequence: 16,
  shuffleRows: 16,
  evalTokens: 64,
  evalEvery: 2,
  steps: 4,
  checkpointEvery: 3,
  threads: 1,
  out: join(mkdtempSync(join(fixture.folder, 'metrics-')), 'run'),
});

const withoutText = { evalFraction: 0, evalTokens: undefined, evalEvery: undefined };
/** Options of a run that fails at its second step. */
const failing = (): TrainInput => ({ ...freshOptions(), lr: 1e30, warmup: 0, ...withoutText });

/** Options of a run that is refused at once. */
const refused = (): TrainInput => ({ ...freshOptions(), rank: 0 });

const recordsOf = (run: Run) => lastValueFrom(run.metrics$.pipe(toArray()));
const fileOf = (out: string) =>
  readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as MetricsRecord);

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason as Error,
  );
  assert.instance(error, Error);
  return error!;
}

/** Runs a module's text in a process of its own, which has to end by itself. */
async function runScript(text: string): Promise<string> {
  const file = join(mkdtempSync(join(fixture.folder, 'script-')), 'script.mjs');
  writeFileSync(file, text);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
  return stdout.trim();
}

const test = suite('metrics$ and finished');

test('all records, in order, and those of metrics.jsonl', async () => {
  const options = freshOptions();
  const run = train(options);
  const records = await recordsOf(run);
  const result: RunResult = await run.finished;
  assert.equal(result, {
    out: options.out!,
    steps: 4,
    finished: true,
    adapter: join(options.out!, 'adapter'),
  });
  const inFile = fileOf(options.out!);
  assert.equal(
    inFile.map((record) => ('step' in record ? `${record.type} ${record.step}` : record.type)),
    'start,eval 0,step 1,step 2,eval 2,step 3,checkpoint 3,step 4,eval 4,checkpoint 4,end 4'.split(','),
  );
  // An evaluation is told when it is done, and written where it belongs.
  const told = JSON.parse(JSON.stringify(records)) as MetricsRecord[];
  const evals = (all: readonly MetricsRecord[]) => all.filter(({ type }) => type === 'eval');
  const others = (all: readonly MetricsRecord[]) =>
    all.filter(({ type }) => type !== 'eval' && type !== 'progress');
  assert.ok(told.some(({ type }) => type === 'progress'));
  assert.not(inFile.some(({ type }) => type === 'progress'));
  assert.equal(evals(told), evals(inFile));
  assert.equal(others(told), others(inFile));
});

test('a failure reaches metrics$ and finished', async () => {
  const run = train(failing());
  const seen: string[] = [];
  const fromMetrics = new Promise<Error>((resolve) => {
    run.metrics$.subscribe({ next: ({ type }) => seen.push(type), error: resolve });
  });
  const fromFinished = await errorOf(run.finished);
  assert.is(await fromMetrics, fromFinished);
  assert.instance(fromFinished, RunError);
  assert.equal(
    seen.filter((type) => type !== 'progress'),
    ['start', 'step'],
  );
});

test('wrong options reject and never throw', async () => {
  const run = train({ ...freshOptions(), rank: 0 });
  const error = await errorOf(run.finished);
  assert.instance(error, InputError);
  assert.is(await errorOf(run.prepared), error);
  assert.is(await errorOf(recordsOf(run)), error);
});

test('unsubscribing does not stop the run', async () => {
  const run = train(freshOptions());
  const first = await lastValueFrom(run.metrics$.pipe(take(2), toArray()));
  assert.is(first.length, 2);
  assert.is((await run.finished).steps, 4);
});

test('late subscribers get what is left', async () => {
  const run = train(freshOptions());
  const late: Promise<MetricsRecord[]>[] = [];
  const early = run.metrics$.subscribe((record) => {
    if (record.type !== 'step' || record.step !== 2) return;
    late.push(recordsOf(run));
    early.unsubscribe();
  });
  await run.finished;
  const steps = (await late[0]!).filter(({ type }) => type === 'step');
  assert.equal(
    steps.map((record) => (record.type === 'step' ? record.step : 0)),
    [3, 4],
  );
  assert.equal(await recordsOf(run), []);
  const failed = train(failing());
  const error = await errorOf(failed.finished);
  assert.is(await errorOf(recordsOf(failed)), error);
});

test('stop() saves, resolves finished, and the run can go on', async () => {
  const options = { ...freshOptions(), steps: 500, checkpointEvery: 500 };
  const run = train(options);
  run.metrics$.subscribe((record) => record.type === 'step' && record.step === 2 && run.stop());
  const result = await run.finished;
  assert.is(result.finished, false);
  assert.is(result.adapter, join(options.out!, 'adapter'));
  const [last] = listCheckpoints(join(options.out!, 'checkpoints'));
  assert.is(last!.step, result.steps);
  assert.ok(existsSync(join(result.adapter!, 'adapter_model.safetensors')));
  const resumed = train({ ...options, resume: true });
  resumed.metrics$.subscribe((record) => record.type === 'step' && resumed.stop());
  assert.is((await resumed.finished).steps, result.steps + 1);
});

test('after a failure metrics.jsonl has every step that was told, a pending evaluation apart', async () => {
  // An evaluation of a long text is on its way when the second step fails.
  const text = join(fixture.folder, 'evaluated.txt');
  writeFileSync(text, makeText(3, 40_000));
  const options = { ...failing(), evalData: text, evalTokens: 100_000 };
  const run = train(options);
  const told: MetricsRecord[] = [];
  run.metrics$.subscribe((record) => record.type !== 'progress' && told.push(record));
  assert.instance(await errorOf(run.finished), RunError);
  assert.equal(
    told.map(({ type }) => type),
    ['start', 'step'],
  );
  assert.equal(
    fileOf(options.out!).filter(({ type }) => type !== 'eval'),
    JSON.parse(JSON.stringify(told.filter(({ type }) => type !== 'eval'))),
  );
});

test('a checkpoint is told once it is there', async () => {
  const run = train({ ...freshOptions(), checkpointEvery: 1 });
  const found: boolean[] = [];
  run.metrics$.subscribe((record) => {
    if (record.type === 'checkpoint') found.push(existsSync(join(record.path, 'state.json')));
  });
  await run.finished;
  assert.equal(found, [true, true, true, true]);
});

test.run();

const processes = suite('a process that trains');

/** The text of a script: it trains, handles a failure in one place, and prints what happened. */
const script = (options: TrainInput, body: string) => `
  import { train } from ${JSON.stringify(import.meta.resolve('rivulet'))};
  import { filter, throwError } from ${JSON.stringify(import.meta.resolve('rxjs'))};
  process.on('unhandledRejection', (error) => console.log('unhandled rejection', error.message));
  process.on('uncaughtException', (error) => console.log('uncaught', error.name));
  const run = train(${JSON.stringify(options)});
  ${body}`;

processes('ends by itself after two runs', async () => {
  const again = `const second = train(${JSON.stringify(freshOptions())});`;
  const body = `await run.finished; ${again} await second.finished; console.log('done');`;
  assert.is(await runScript(script(freshOptions(), body)), 'done');
});

processes('an error callback alone handles a failure', async () => {
  const body = `run.metrics$.subscribe({ error: (error) => console.log('handled', error.name) });`;
  assert.is(await runScript(script(failing(), body)), 'handled DivergedError');
});

/** Ways to listen that handle no failure. */
const LISTENING = {
  'nobody listens': '',
  'a subscriber without an error callback': 'run.metrics$.subscribe(() => {});',
  'one behind operators': "run.metrics$.pipe(filter(({ type }) => type === 'step')).subscribe(() => {});",
  'one that left before': 'run.metrics$.subscribe({ error() {} }).unsubscribe();',
  'a handler of prepared alone': 'run.prepared.then(() => {}, () => {});',
};

for (const [what, body] of Object.entries(LISTENING)) {
  processes(`${what}: a failure is an unhandled rejection of finished, once`, async () => {
    assert.match(await runScript(script(refused(), body)), /^unhandled rejection --rank: [^\n]*$/);
  });
  processes(`${what}: finished alone handles a failure`, async () => {
    const handled = `${body} run.finished.catch((error) => console.log('handled', error.name));`;
    assert.is(await runScript(script(refused(), handled)), 'handled InputError');
  });
}

processes('an error callback behind operators handles a failure, beside others without one', async () => {
  const body = `run.metrics$.subscribe(() => {});
    run.metrics$.pipe(filter(() => true)).subscribe({ error: (error) => console.log('handled', error.name) });`;
  assert.is(await runScript(script(failing(), body)), 'handled DivergedError');
});

processes("other people's unhandled errors of RxJS stay what they are", async () => {
  const body = `run.finished.catch(() => {}); throwError(() => new TypeError('theirs')).subscribe();`;
  assert.is(await runScript(script(failing(), body)), 'uncaught TypeError');
});

processes('a failure of the input in the middle of a run ends it', async () => {
  const data = join(fixture.folder, 'broken.jsonl');
  const good = readFileSync(fixture.jsonl, 'utf8').split('\n').slice(0, 30);
  writeFileSync(data, `${[...good, '{"text": 3}'].join('\n')}\n`);
  const options = { ...freshOptions(), data: [data], ...withoutText, shuffleRows: 1, steps: 100 };
  const body = `run.finished.catch((error) => console.log(error.name, error.message));`;
  const printed = await runScript(script(options, body));
  assert.match(printed, /^InputError .*broken\.jsonl: line 31, byte \d+: /);
});

processes.run();
