import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, RunError, type TrainInput, tokenize } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CHAT_TEMPLATE, makeChat, makeFixture, makeJsonl } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot, temporaryFolder } from '../support.js';
import { outcomeOf } from './outcome.js';
import { runProgram } from './process.js';

const fixture = makeFixture('tokenize');
const model = fixture.student;
const fresh = () => join(temporaryFolder('tokenize'), 'shards');
const start = (args: string[], cwd = temporaryFolder('tokenize')) => runProgram('tokenize', args, { cwd });

/** A BOS and a token for each word: 3, 2, 7 and 2 tokens. */
const LINES = ['the cat', 'a', 'the dog sat on a mat', 'red'];
const small = join(fixture.folder, 'small.jsonl');
writeFileSync(small, LINES.map((text) => JSON.stringify({ text })).join('\n'));

const EXPECTED = {
  documents: 4,
  tokens: 14,
  bytes: 31,
  bytesPerToken: 31 / 14,
  longest: { tokens: 7, document: `${small}:3` },
  length: { median: 2, p90: 7, p99: 7 },
  // 2 + 1 + 6 + 1 pairs in rows of 4; the document of 6 is longer than one.
  packing: {
    sequence: 4,
    stream: { rows: 3, efficiency: 10 / 12 },
    // 4; 2 + 2 of the longer one's rest and the first; 1 + 1.
    bestFit: { rows: 3, efficiency: 10 / 12 },
    longerDocuments: 1 / 4,
  },
  skipped: 0,
};

const statistics = suite('tokenize: statistics');

statistics('as counted by hand; with --json one object on one line', async () => {
  const { code, stdout, stderr } = await start([
    '--model',
    model,
    '--data',
    small,
    '--sequence',
    '4',
    '--json',
  ]);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  assert.is(stdout.split('\n').length, 2);
  const { seconds, tokensPerSecond, ...counted } = JSON.parse(stdout) as Record<string, number>;
  assert.equal(counted, EXPECTED);
  assert.ok(Math.abs(tokensPerSecond! * seconds! - 14) < 1e-9);
});

statistics('in words', async () => {
  const { code, stdout } = await start(['--model', model, '--data', small, '--sequence', '4']);
  assert.is(code, 0);
  assert.equal(stdout.split('\n').slice(0, 6), [
    'documents  4',
    'tokens     14 of 31 bytes: 2.214 bytes per token',
    'length     median 2, 90 % up to 7, 99 % up to 7 tokens',
    `longest    7 tokens: ${small}:3`,
    'packing    in rows of 4 tokens: stream 3 rows, 83.33 % full; best-fit 3 rows, 83.33 % full',
    '           25.00 % of the documents are longer than a row',
  ]);
});

statistics('EOS is counted; a column and a separator are used', async () => {
  const text = join(fixture.folder, 'small.txt');
  writeFileSync(text, LINES.join('\n'));
  const split = await tokenize({ model, data: [text], separator: '\\n', eos: true });
  assert.equal([split.documents, split.tokens, split.bytes], [4, 18, 31]);
  const csv = join(fixture.folder, 'small.csv');
  writeFileSync(csv, 'id,story\n1,the cat\n');
  assert.is((await tokenize({ model, data: [csv], textColumn: 'story' })).tokens, 3);
});

statistics('what cannot be read is counted, on request', async () => {
  const bad = join(fixture.folder, 'bad.jsonl');
  writeFileSync(bad, '{"text": "red"}\n{"text": \n{"text": "the cat"}\n{');
  const found = await tokenize({ model, data: [bad], onBadDocument: 'skip' });
  assert.equal([found.documents, found.tokens, found.skipped], [2, 5, 2]);
  assert.match(await inputErrorOf(() => tokenize({ model, data: [bad] })), /bad\.jsonl: line 2, byte \d+/);
});

statistics(
  'text beside prompts in one shard, and what is learned whole, are packed as they were',
  async () => {
    const mixed = join(fixture.folder, 'mixed.jsonl');
    const pairs = Array.from({ length: 9 }, () => ({
      prompt: 'the dog sat',
      completion: ' on a mat the cat sat',
    }));
    const long = { text: Array.from({ length: 60 }, () => 'the cat').join(' ') };
    writeFileSync(mixed, [long, ...pairs].map((record) => JSON.stringify(record)).join('\n'));
    for (const lossOn of ['assistant', 'all'] as const) {
      const out = fresh();
      const { packing } = await tokenize({ model, data: [mixed], sequence: 4, lossOn, out });
      assert.equal((await tokenize({ model, data: [out], sequence: 4 })).packing, packing);
    }
  },
);

statistics('nothing that can be encoded, and weights, are refused', async () => {
  const empty = join(fixture.folder, 'empty.jsonl');
  writeFileSync(empty, '{"prompt": "the cat", "completion": ""}');
  const out = fresh();
  assert.match(
    await inputErrorOf(() => tokenize({ model, data: [empty], onBadDocument: 'skip', out })),
    /^expected documents that can be encoded, found none \(1 left out\); mend them$/,
  );
  assert.not(existsSync(out));
  assert.match(
    await inputErrorOf(() => tokenize({ model, data: [`${small}:0.5`] })),
    /small\.jsonl: expected no weight, found 0\.5; documents are read once: weights are for train$/,
  );
});

statistics('shards come to what their text comes to', async () => {
  const out = fresh();
  const of = async (path: string, others = {}) => {
    const {
      seconds: _,
      tokensPerSecond: __,
      shards,
      longest,
      ...same
    } = await tokenize({
      ...{ model, data: [path], sequence: 4 },
      ...others,
    });
    return { same, shards, longest: longest.tokens };
  };
  const text = await of(small, { out });
  assert.equal(text.shards, { folder: out, files: 1 });
  assert.equal(await of(out), { ...text, shards: undefined });
});

statistics.run();

const training = suite('tokenize, then train');

for (const eos of [false, true]) {
  training(`the adapter is that of the text${eos ? ', with EOS' : ''}`, async () => {
    const out = fresh();
    await tokenize({ model, data: [fixture.jsonl], eos, out });
    const run = (data: string) =>
      outcomeOf({
        ...{ student: model, data: [data], eos, batch: 4, sequence: 16, shuffleRows: 16, steps: 3, seed: 4 },
        ...{ evalFraction: 0.3, evalTokens: 128, threads: 1, device: 'wasm' },
      });
    const [fromText, fromShards] = [await run(fixture.jsonl), await run(out)];
    assert.ok(fromText.adapter.length > 1000);
    assert.ok(fromShards.adapter.equals(fromText.adapter));
    const losses = ({ records }: typeof fromText) =>
      records.flatMap((record) => (record.type === 'eval' ? [record.nll, record.tokens] : []));
    assert.equal(losses(fromShards), losses(fromText));
  });
}

training('of conversations, too: shards hold what is learned', async () => {
  const [out, whole, chat] = [fresh(), fresh(), join(fixture.folder, 'chat.jsonl')];
  const chatTemplate = join(fixture.folder, 'template.jinja');
  writeFileSync(chat, makeChat(21, 30));
  writeFileSync(chatTemplate, CHAT_TEMPLATE);
  await tokenize({ model, data: [chat], chatTemplate, out });
  await tokenize({ model, data: [chat], chatTemplate, lossOn: 'all', out: whole });
  const run = (data: string, given: Partial<TrainInput> = {}) =>
    outcomeOf({
      ...{ student: model, data: [data], batch: 4, sequence: 32, steps: 3, shuffleRows: 8, ...given },
      ...{ evalFraction: 0.3, threads: 1, device: 'wasm', packing: 'best-fit', longDocuments: 'truncate' },
    });
  const fromText = await run(chat, { chatTemplate });
  assert.ok((await run(out)).adapter.equals(fromText.adapter));
  const learnedWhole = await run(chat, { chatTemplate, lossOn: 'all' });
  assert.not(learnedWhole.adapter.equals(fromText.adapter));
  assert.ok((await run(whole)).adapter.equals(learnedWhole.adapter));
  assert.ok((await run(out, { lossOn: 'all' })).adapter.equals(learnedWhole.adapter), 'the mask is not used');
});

training('a run with another --eos, or a student with another tokenizer, is refused', async () => {
  const out = fresh();
  await tokenize({ model, data: [small], out });
  const run = (given: { student?: string; eos?: boolean; evalData?: string; data?: string[] }) =>
    inputErrorOf(() => outcomeOf({ student: model, data: [out], steps: 1, device: 'wasm', ...given }));
  assert.match(await run({ eos: true }), /found such without EOS \(no --eos\); leave out --eos/);
  assert.match(await run({ eos: true, data: [small], evalData: out }), /found such without EOS/);
  const other = fresh();
  await tokenize({ model: join(projectRoot, 'miniature/student'), data: [small], out: other });
  assert.match(
    await run({ data: [other] }),
    /expected token ids of the tokenizer in .*, found those of the one in .*miniature/,
  );
});

training.run();

const endings = suite('tokenize: how it ends');

endings('a folder that is there is refused, and stays as it is', async () => {
  const out = fresh();
  mkdirSync(out);
  writeFileSync(join(out, 'tokens-00000.safetensors'), 'x');
  const { code, stdout, stderr } = await start(['--model', model, '--data', small, '--out', out]);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.is(stderr, `error: --out: expected a folder that is not there yet, found ${out}; choose another\n`);
  assert.equal(readdirSync(out), ['tokens-00000.safetensors']);
});

const [dangling, circle] = [join(fixture.folder, 'dangling'), join(fixture.folder, 'circle')];
symlinkSync('nowhere', dangling);
symlinkSync('circle', circle);

const WRONG: Record<string, [args: string[], message: RegExp]> = {
  'no such model': [['--model', 'nowhere', '--data', small], /^error: nowhere: expected a model's folder, /],
  'no such text': [
    ['--model', model, '--data', 'nowhere.txt'],
    /^error: nowhere\.txt: expected a text file, found nothing/,
  ],
  'a model as text': [
    ['--model', model, '--data', model],
    /expected a token shard of version 1, found safetensors of another/,
  ],
  'a file as the parent of --out': [
    ['--model', model, '--data', small, '--out', `${small}/x`],
    /^error: --out: expected a folder, found a file/,
  ],
  'a name that no folder can have': [
    ['--model', model, '--data', small, '--out', 'n'.repeat(256)],
    /^error: --out: expected a folder to write to, found n+ \(ENAMETOOLONG\); choose another/,
  ],
  'a link to nothing': [
    ['--model', model, '--data', small, '--out', dangling],
    /^error: --out: expected a folder that is not there yet, found .*dangling; choose another/,
  ],
  'below links that go round in circles': [
    ['--model', model, '--data', small, '--out', join(circle, 'x')],
    /^error: --out: expected a folder to write to, found .*circle\/x \(ELOOP\); choose another/,
  ],
};

for (const [what, [args, message]] of Object.entries(WRONG)) {
  endings(`${what}: one line, exit 2`, async () => {
    const { code, stdout, stderr } = await start(args);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, message);
    assert.is(stderr.split('\n').length, 2, stderr);
  });
}

const broken = join(fixture.folder, 'broken.jsonl');
writeFileSync(broken, `${makeJsonl(5, 50)}{"text"\n`);

endings('text that breaks off leaves nothing behind', async () => {
  const cwd = temporaryFolder('tokenize');
  const { code } = await start(['--model', model, '--data', broken, '--out', 'shards'], cwd);
  assert.is(code, 2);
  assert.equal(readdirSync(cwd), []);
});

endings('Ctrl-C leaves nothing behind', async () => {
  const cwd = temporaryFolder('tokenize');
  const imports = [join(projectRoot, 'build/tests/run/interrupted.js')];
  const args = ['--model', model, '--data', fixture.jsonl, '--out', 'shards'];
  const { code, stderr } = await runProgram('tokenize', args, { cwd, imports });
  assert.is(code, 1, stderr);
  assert.is(stderr, 'error: expected to read all documents, found a signal to stop\n');
  assert.equal(readdirSync(cwd), []);
});

endings('a caller is told how far it is, and may stop it', async () => {
  const out = fresh();
  const stop = new AbortController();
  const told: number[] = [];
  const onProgress = ({ documents }: { documents: number }) => {
    told.push(documents);
    if (told.length === 3) stop.abort();
  };
  try {
    await tokenize({ model, data: [fixture.jsonl], sequence: 8, out }, { onProgress, signal: stop.signal });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, RunError);
    assert.not.instance(error, InputError);
  }
  assert.is(told.length, 3);
  assert.equal(readdirSync(join(out, '..')), []);
});

endings.run();
