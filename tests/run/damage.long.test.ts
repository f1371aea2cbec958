import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, makeText } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { asOfVersion01 } from './oldRuns.js';
import { adapterBytes, flags, runProgram, timelessMetrics } from './process.js';

/** Run folders that were changed from outside: nothing wrong is gone on from, and nothing outside is written to. */

const fixture = makeFixture('damage');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'damage-'));
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.jsonl], batch: 4, sequence: 16, shuffleRows: 16, steps: 6 },
  ...{ evalFraction: 0, threads: 1, checkpointEvery: 2, warmup: 0 },
};

const whole = join(freshFolder(), 'run');
await train({ ...base, out: whole }).finished;
const [OLD, NEW] = ['checkpoints/step-00000004', 'checkpoints/step-00000006'];

function damaged(change: (run: string) => void): string {
  const out = join(freshFolder(), 'run');
  cpSync(whole, out, { recursive: true });
  change(out);
  return out;
}

/** What is in a folder: contents by path, links as such. */
const contentsOf = (folder: string): Map<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? readFileSync(path, 'base64') : entry.isDirectory() ? 'folder' : 'other'];
    }),
  );

const resume = (out: string) => train({ resume: true, out } as TrainInput).finished;

const flipAt = (path: string, at: number) => {
  const bytes = readFileSync(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  writeFileSync(path, bytes);
};
const edit = (path: string, from: string | RegExp, to: string) => {
  const text = readFileSync(path, 'utf8');
  assert.match(text, from);
  writeFileSync(path, text.replace(from, to));
};

type Change = (run: string) => void;

/** Of a checkpoint: what was done to it, and the file that has to be named. */
const changes: Record<string, readonly [change: (checkpoint: string) => void, named: string]> = {
  'a flipped bit of the adapter': [
    (path) => flipAt(join(path, 'adapter/adapter_model.safetensors'), -1),
    'adapter/adapter_model.safetensors',
  ],
  'a flipped bit of the moments': [
    (path) => flipAt(join(path, 'optimizer.safetensors'), -9),
    'optimizer.safetensors',
  ],
  "another alpha in the adapter's config": [
    (path) => edit(join(path, 'adapter/adapter_config.json'), '"lora_alpha": 16', '"lora_alpha": 17'),
    'adapter/adapter_config.json',
  ],
  'another state': [
    (path) => edit(join(path, 'state.json'), /"metricsBytes":\d+/, '"metricsBytes":900000000000'),
    'state.json',
  ],
  'moments that are gone': [(path) => rmSync(join(path, 'optimizer.safetensors')), 'optimizer.safetensors'],
  'a file cut short': [
    (path) => truncateSync(join(path, 'optimizer.safetensors'), 100),
    'optimizer.safetensors',
  ],
  'a file more': [(path) => writeFileSync(join(path, 'adapter/more'), ''), 'adapter/more'],
  'no hashes': [(path) => rmSync(join(path, 'XXH64SUMS')), 'XXH64SUMS'],
  'a flipped bit of the hashes': [(path) => flipAt(join(path, 'XXH64SUMS'), 3), ''],
};

const checkpoints = suite('a damaged checkpoint');

for (const [what, [change, named]] of Object.entries(changes)) {
  checkpoints(`${what}: refused by the file's name, nothing written`, async () => {
    const out = damaged((run) => {
      rmSync(join(run, OLD), { recursive: true });
      change(join(run, NEW));
    });
    const before = contentsOf(out);
    const message = await inputErrorOf(() => resume(out));
    assert.ok(message.startsWith(join(out, NEW, named)), message);
    assert.ok(message.endsWith(`; delete ${join(out, NEW)}`), message);
    assert.equal(contentsOf(out), before);
  });
}

checkpoints('the newest one alone: the one before it is named and used, with the same outcome', async () => {
  const out = damaged((run) => changes['a flipped bit of the moments']![0](join(run, NEW)));
  const { code, stderr } = await runProgram('train', flags({ resume: true, out } as TrainInput), {
    cwd: fixture.folder,
  });
  assert.is(code, 0, stderr);
  const told = stderr.split('\n').filter((line) => line.includes(NEW));
  assert.is(told.length, 1, stderr);
  assert.ok(told[0]!.startsWith(`${join(out, NEW, 'optimizer.safetensors')}: expected `), told[0]);
  assert.ok(told[0]!.endsWith(`: set aside for ${join(out, OLD)}`), told[0]);
  assert.ok(existsSync(join(out, `${NEW}.damaged`)), 'what was there is kept');
  assert.ok(adapterBytes(out).equals(adapterBytes(whole)));
  assert.equal(
    timelessMetrics(out).map((line) => line.replaceAll(out, whole)),
    timelessMetrics(whole),
  );
});

checkpoints('no step of its folder: refused', async () => {
  const out = damaged((run) => renameSync(join(run, NEW), join(run, 'checkpoints/step-00000007')));
  await resume(out);
  assert.ok(adapterBytes(out).equals(adapterBytes(whole)), 'the one before it was used');
});

checkpoints.run();

const metrics = suite('metrics.jsonl');
const linesOf = (run: string) => readFileSync(join(run, 'metrics.jsonl'), 'utf8').split('\n');

metrics('cut below every checkpoint: refused with what to do, never filled', async () => {
  const out = damaged((run) => truncateSync(join(run, 'metrics.jsonl'), 10));
  const before = contentsOf(out);
  const message = await inputErrorOf(() => resume(out));
  assert.match(
    message,
    new RegExp(`^${out}/metrics\\.jsonl: expected the \\d+ bytes that ${join(out, NEW)} was`),
  );
  assert.match(message, `found 10; restore it, or begin a new run there with --fork ${out}@6`);
  assert.equal(contentsOf(out), before);
});

metrics('cut between two checkpoints: the older one is used, with the same outcome', async () => {
  const out = damaged((run) => {
    const bytes = Buffer.byteLength(linesOf(run).slice(0, 6).join('\n'));
    truncateSync(join(run, 'metrics.jsonl'), bytes + 1);
  });
  await resume(out);
  assert.ok(adapterBytes(out).equals(adapterBytes(whole)));
  assert.is(timelessMetrics(out).length, timelessMetrics(whole).length);
  assert.not.match(readFileSync(join(out, 'metrics.jsonl'), 'latin1'), '\0');
});

for (const [what, change] of Object.entries({
  gone: (run) => rmSync(join(run, 'metrics.jsonl')),
  'with other records': (run) => edit(join(run, 'metrics.jsonl'), '"step":1,', '"step":9,'),
} satisfies Record<string, Change>)) {
  metrics(`${what}: refused`, async () => {
    const out = damaged(change);
    assert.match(
      await inputErrorOf(() => resume(out)),
      /metrics\.jsonl: expected the (\d+ bytes|records) that/,
    );
  });
}

metrics.run();

const facts = suite('run.json');

for (const [name, from, to] of [
  ['seed', '"seed": 0', '"seed": 1'],
  ['batch', '"batch": 4', '"batch": 8'],
  ['lr', '"lr": 0.001', '"lr": 0.01'],
  ['micro-batch', '"microBatch": 4', '"microBatch": 2'],
  ['steps', '"steps": 6', '"steps": 9'],
] as const) {
  facts(`another ${name}: refused by its name, nothing written`, async () => {
    const out = damaged((run) => edit(join(run, 'run.json'), from, to));
    const before = contentsOf(out);
    const message = await inputErrorOf(() => resume(out));
    assert.ok(
      message.startsWith(`${join(out, 'run.json')}: expected ${name === 'steps' ? '6 steps' : name}`),
      message,
    );
    assert.equal(contentsOf(out), before);
  });
}

facts('gone: refused', async () => {
  const out = damaged((run) => rmSync(join(run, 'run.json')));
  const message = await inputErrorOf(() => train({ ...base, resume: true, out }).finished);
  assert.is(
    message,
    `${join(out, 'run.json')}: expected what the run began with, found no file; put it back`,
  );
});

facts.run();

const links = suite('links');
const target = join(freshFolder(), 'target');

/** Puts a link in the place of something, which moves to where the link leads. */
const movedOut =
  (name: string): Change =>
  (run) => {
    rmSync(target, { recursive: true, force: true });
    renameSync(join(run, name), target);
    symlinkSync(target, join(run, name));
  };

for (const name of [
  ...['run.json', 'metrics.jsonl', 'adapter', 'checkpoints', OLD, `${NEW}/optimizer.safetensors`],
  'adapter/adapter_model.safetensors',
]) {
  links(`${name}: refused by its name, nothing written through it`, async () => {
    const out = damaged(movedOut(name));
    const before = contentsOf(join(target, '..'));
    assert.match(await inputErrorOf(() => resume(out)), `${join(out, name)}: expected a`);
    assert.equal(contentsOf(join(target, '..')), before);
  });
}

links('a second name of metrics.jsonl: refused', async () => {
  const out = damaged((run) => linkSync(join(run, 'metrics.jsonl'), join(run, '..', 'backup')));
  assert.match(
    await inputErrorOf(() => resume(out)),
    `${join(out, 'metrics.jsonl')}: expected a file of its own`,
  );
});

links('in a folder for a new run: refused, whether or not they lead somewhere', async () => {
  for (const name of ['metrics.jsonl', 'checkpoints', 'adapter']) {
    const out = join(freshFolder(), 'run');
    mkdirSync(out);
    symlinkSync(join(out, '..', 'nowhere'), join(out, name));
    assert.match(
      await inputErrorOf(() => train({ ...base, out }).finished),
      `${join(out, name)}: expected a f`,
    );
    assert.equal(readdirSync(out), [name]);
  }
});

links('names of unfinished files: never written through', async () => {
  const kept = join(freshFolder(), 'kept');
  writeFileSync(kept, 'kept');
  const leave = (folder: string, name: string) => {
    for (let i = 1; i < 9; i++) symlinkSync(kept, join(folder, `.${name}.${process.pid}-${i}.unfinished`));
  };
  const out = damaged((run) => leave(run, 'run.json'));
  await resume(out);
  assert.equal(readdirSync(out).sort(), readdirSync(whole).sort(), 'removed as what a killed run left');
  const other = damaged((run) => leave(join(run, 'checkpoints'), 'step-00000006'));
  assert.match(
    await inputErrorOf(() => resume(other)),
    '-1.unfinished: expected a file or folder of the run',
  );
  assert.is(readFileSync(kept, 'utf8'), 'kept');
});

links.run();

const texts = suite('a text that changed');
const long = makeText(1, 60_000);

/** A run that read a little of a text of 250 kB, whose identity is of 64 kB of samples. */
async function readLittle(name: string): Promise<{ text: string; out: string }> {
  const text = join(freshFolder(), name);
  writeFileSync(text, long);
  const out = join(freshFolder(), 'run');
  await train({ ...base, data: [text], schedule: 'constant', steps: 2, out }).finished;
  return { text, out };
}

for (const [what, change] of Object.entries({
  'one letter far behind': (text) =>
    `${text.slice(0, 200_003)}${text[200_003] === 'x' ? 'y' : 'x'}${text.slice(200_004)}`,
  'one letter of what was read': (text) => `${text.slice(0, 3)}X${text.slice(4)}`,
  'all between two samples': (text) => text.slice(0, 5000) + 'y'.repeat(9000) + text.slice(14_000),
} satisfies Record<string, (text: string) => string>)) {
  texts(`${what}, of the same length and time: refused by its name, nothing written`, async () => {
    const { text, out } = await readLittle('text.txt');
    const { atime, mtime } = statSync(text);
    writeFileSync(text, change(long));
    utimesSync(text, atime, mtime);
    assert.is(statSync(text).size, long.length);
    const before = contentsOf(out);
    for (const options of [
      { resume: true, out },
      { resume: true, out, steps: 4 },
    ]) {
      const message = await inputErrorOf(() => train(options as TrainInput).finished);
      assert.ok(message.startsWith(`${text}: expected the `), message);
      assert.ok(/restore (it|the data) as it was$/.test(message), message);
    }
    assert.equal(contentsOf(out), before);
    writeFileSync(text, long);
    assert.is((await train({ resume: true, out, steps: 4 } as TrainInput).finished).steps, 4);
  });
}

texts('the text of evaluations, too', async () => {
  const evalData = join(freshFolder(), 'held-out.txt');
  writeFileSync(evalData, long);
  const out = join(freshFolder(), 'run');
  await train({ ...base, evalData, evalTokens: 64, steps: 2, out }).finished;
  writeFileSync(evalData, `${long.slice(0, 200_003)}#${long.slice(200_004)}`);
  assert.match(
    await inputErrorOf(() => resume(out)),
    `${evalData}: expected the text that the run began with`,
  );
});

texts.run();

const before = suite('a run of version 0.1.0');

before('goes on from a checkpoint without hashes to the same outcome', async () => {
  const out = damaged((run) => {
    rmSync(join(run, NEW), { recursive: true });
    asOfVersion01(run, join(run, OLD));
  });
  await resume(out);
  assert.ok(adapterBytes(out).equals(adapterBytes(whole)));
  assert.equal(
    timelessMetrics(out).map((line) => line.replaceAll(out, whole)),
    timelessMetrics(whole),
  );
});

before('is still held to the length of its metrics', async () => {
  const out = damaged((run) => {
    rmSync(join(run, OLD), { recursive: true });
    asOfVersion01(run, join(run, NEW));
    edit(join(run, NEW, 'state.json'), /"metricsBytes":\d+/, '"metricsBytes":900000000000');
  });
  appendFileSync(join(out, 'metrics.jsonl'), '\n');
  assert.match(
    await inputErrorOf(() => resume(out)),
    /metrics\.jsonl: expected the 900000000000 bytes that /,
  );
});

before.run();
