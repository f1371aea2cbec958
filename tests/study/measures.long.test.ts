import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, loadModel, loadTokenizer, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { textTokens } from '#src/data/encoding.js';
import { evaluationRows } from '#src/data/packing/windows.js';
import { hasMiniature, miniaturePaths } from '#src/prepare/miniature.js';
import { measure, type Subject } from '#src/study/measures.js';
import { makeFixture, makeText } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What models and adapters are measured by, against the public functions. */

const SEQUENCE = 32;
const LOADING = { device: 'wasm', threads: 1 };
const fixture = makeFixture('measures');
const bare: Subject = { model: fixture.student };
const tokenizer = await loadTokenizer(fixture.student);
const text = makeText(9, 300).trim();
const ids = textTokens(tokenizer, text, tokenizer.before, false);
const heldOut = [...evaluationRows({ tokens: ids }, SEQUENCE, 'text')];

const write = (name: string, records: readonly object[]): string => {
  const path = join(fixture.folder, name);
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return path;
};

const tests = suite('measures');
let adapter: string;
tests.before(async () => {
  const out = join(fixture.folder, 'run');
  const shape = { sequence: SEQUENCE, batch: 4, steps: 3, lr: 3e-2, rank: 2, evalFraction: 0, ...LOADING };
  const { finished } = train({ student: fixture.student, data: [fixture.jsonl], out, ...shape });
  adapter = (await finished).adapter!;
});

tests('losses are those of evaluate, in nats and in bits per byte; forgetting is their rise', async () => {
  const options = { sequence: SEQUENCE, loading: LOADING };
  const wanted = { heldOut, unrelated: fixture.text };
  const before = await measure(bare, wanted, options);
  const after = await measure({ ...bare, adapter }, wanted, { ...options, bare: before });
  assert.equal(Object.keys(before).sort(), ['bits_per_byte', 'nll', 'unrelated_nll']);
  assert.equal(Object.keys(after).sort(), ['bits_per_byte', 'forgetting', 'nll', 'unrelated_nll']);
  for (const [measures, subject] of [
    [before, bare],
    [after, { ...bare, adapter }],
  ] as const) {
    const choices = { ...subject, sequence: SEQUENCE, ...LOADING };
    assert.is(measures.unrelated_nll, (await evaluate({ ...choices, perplexity: fixture.text })).nll);
    const path = join(fixture.folder, 'held-out.txt');
    writeFileSync(path, text);
    const { nll, tokens } = await evaluate({ ...choices, perplexity: path });
    assert.ok(Math.abs(measures.nll! - nll) < 1e-6, `${measures.nll} and ${nll}`);
    // BOS begins the first window; of each other one the first token is not predicted.
    const lengths = tokenizer.byteLengths(ids);
    const bytes = lengths.reduce((sum, length, i) => sum + (i % SEQUENCE === 0 ? 0 : length), 0);
    assert.ok(Math.abs(measures.bits_per_byte! - (nll * tokens) / Math.LN2 / bytes) < 1e-6);
  }
  assert.is(after.forgetting, after.unrelated_nll! - before.unrelated_nll!);
  assert.is.not(after.forgetting, 0);
});

const whenMade = hasMiniature() ? tests : tests.skip;

whenMade('exact match is the share of completions that greedy decoding gives', async () => {
  const { teacher, arithmetic } = miniaturePaths();
  const records = readFileSync(arithmetic, 'utf8').split('\n').slice(0, 12);
  const model = await loadModel(teacher, { sequence: 256, ...LOADING });
  const isGreedy: boolean[] = [];
  for (const record of records) {
    const { prompt, completion } = JSON.parse(record) as { prompt: string; completion: string };
    const ids = model.tokenizer.encode(prompt + completion);
    const asked = model.tokenizer.encode(prompt).length;
    const logits = await model.logits(ids);
    const vocabulary = logits.length / ids.length;
    const likeliest = (place: number) => {
      const row = logits.subarray(place * vocabulary, (place + 1) * vocabulary);
      return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    };
    isGreedy.push(ids.slice(asked).every((id, i) => likeliest(asked + i - 1) === id));
  }
  await model.close();
  const right = isGreedy.filter(Boolean).length;
  assert.ok(right > 0 && right < 12, `${right}`);
  const pick = (flag: boolean) =>
    records.filter((_, i) => isGreedy[i] === flag).map((line) => JSON.parse(line));
  const examples = {
    all: write(
      'all.jsonl',
      records.map((line) => JSON.parse(line)),
    ),
    right: write('right.jsonl', pick(true)),
    wrong: write('wrong.jsonl', pick(false)),
  };
  const measures = await measure({ model: teacher }, { examples }, { sequence: SEQUENCE, loading: LOADING });
  assert.equal(measures, {
    'exact_match.all': right / 12,
    'exact_match.right': 1,
    'exact_match.wrong': 0,
  });
});

tests('what is not wanted is not measured; what is no example is refused with its place', async () => {
  const options = { sequence: SEQUENCE, loading: LOADING };
  assert.equal(await measure(bare, {}, options), {});
  const refused = (examples: string) =>
    inputErrorOf(() => measure(bare, { examples: { x: examples } }, options));
  const none = write('none.jsonl', [{ prompt: 'a', completion: '' }]);
  assert.match(await refused(none), /none\.jsonl.*expected a completion, found an empty one/);
  assert.match(await refused(fixture.jsonl), /documents\.jsonl.*expected a prompt and its completion/);
  assert.match(await refused(join(fixture.folder, 'missing.jsonl')), /missing\.jsonl/);
  assert.match(await refused(write('empty.jsonl', [])), /empty\.jsonl/);
  const long = write('long.jsonl', [{ prompt: 'the cat '.repeat(100), completion: 'sat' }]);
  assert.match(
    await refused(long),
    /long\.jsonl: expected examples of at most 129 tokens, .* found one of \d+; shorten/,
  );
  const lost = { model: join(fixture.folder, 'nowhere') };
  assert.match(await inputErrorOf(() => measure(lost, { heldOut }, options)), /nowhere/);
});

tests.run();
