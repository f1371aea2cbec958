import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluate, loadModel, tokenize } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** What a run says of held-out text is what the model says of each of its documents. */

const fixture = makeFixture('evaluation');
/** No document is longer. */
const SEQUENCE = 64;

test('short documents share rows: --eval-tokens counts tokens, not padding', async () => {
  const model = await loadModel(fixture.student, { sequence: SEQUENCE, threads: 1 });
  const lines = readFileSync(fixture.jsonl, 'utf8').trimEnd().split('\n');
  const documents = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  const scores: { nll: number; predicted: number; read: number }[] = [];
  for (const text of documents) {
    const { nll, tokens: predicted } = await model.perplexity(text);
    assert.ok(predicted < SEQUENCE);
    scores.push({ nll, predicted, read: predicted + 1 });
  }
  await model.close();
  const total = (of: (score: (typeof scores)[number]) => number, among = scores): number =>
    among.reduce((sum, score) => sum + of(score), 0);

  const limit = total(({ read }) => read, scores.slice(0, 25));
  assert.ok(limit < 25 * SEQUENCE, 'a row for each document would be more than the limit');
  for (const [evalTokens, among] of [
    [limit, scores.slice(0, 25)],
    [limit - 1, scores.slice(0, 24)],
    [1_000_000, scores],
  ] as const) {
    const outcome = await outcomeOf({
      ...{ student: fixture.student, data: [fixture.text], evalData: fixture.jsonl, evalTokens },
      ...{ sequence: SEQUENCE, batch: 2, shuffleRows: 16, steps: 1, threads: 1 },
    });
    const [first] = recordsOf(outcome, 'eval');
    const predicted = total((score) => score.predicted, among);
    const nll = total((score) => score.nll * score.predicted, among) / predicted;
    assert.is(first!.tokens, predicted);
    assert.ok(Math.abs(first!.nll / nll - 1) < 1e-6, `${first!.nll}, expected ${nll}`);
  }
});

test('evaluate scores documents as train reads them, each in windows of its own; a .txt file is one', async () => {
  const model = await loadModel(fixture.student, { sequence: 16, threads: 1 });
  const texts = readFileSync(fixture.jsonl, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(0, 12)
    .map((line) => (JSON.parse(line) as { text: string }).text);
  const scores = [];
  for (const text of texts) scores.push(await model.perplexity(text));
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  const nll = scores.reduce((sum, score) => sum + score.tokens * score.nll, 0) / tokens;
  const put = (name: string, content: string) => {
    writeFileSync(join(fixture.folder, name), content);
    return join(fixture.folder, name);
  };
  const lines = (objects: object[]) => `${objects.map((object) => JSON.stringify(object)).join('\n')}\n`;
  const shards = join(fixture.folder, 'evaluation-shards');
  const jsonl = put('e.jsonl', lines(texts.map((text) => ({ text }))));
  await tokenize({ model: fixture.student, data: [jsonl], out: shards });
  const given = { model: fixture.student, sequence: 16, device: 'wasm', threads: 1 } as const;
  let last = 0;
  const onProgress = (progress: { tokens: number }) => {
    last = progress.tokens;
  };
  for (const options of [
    { perplexity: jsonl },
    { perplexity: put('e.json', JSON.stringify(texts.map((body) => ({ body })))), textColumn: 'body' },
    { perplexity: put('e.csv', `text\n${texts.map((text) => `"${text}"\n`).join('')}`) },
    { perplexity: put('separated.txt', texts.join('|')), separator: '|' },
    { perplexity: shards },
    { perplexity: put('damaged.jsonl', `{\n${readFileSync(jsonl, 'utf8')}`), onBadDocument: 'skip' as const },
  ]) {
    const found = await evaluate({ ...given, ...options }, { onProgress });
    assert.is(found.tokens, tokens, options.perplexity);
    assert.ok(Math.abs(found.nll / nll - 1) < 1e-6, options.perplexity);
    assert.equal([found.documents, found.skipped], [12, options.onBadDocument ? 1 : 0]);
    assert.is(last, tokens);
  }
  const whole = texts.join('\n');
  for (const name of ['whole.txt', 'whole', 'whole.md']) {
    const { tokens, nll } = await evaluate({ ...given, perplexity: put(name, whole) });
    assert.equal({ nll, tokens }, await model.perplexity(whole), name);
  }
  const without = await evaluate({ ...given, perplexity: put('whole.txt', whole), bos: 'never' });
  assert.is(without.tokens, (await model.perplexity(whole)).tokens - (without.tokens % 15 === 0 ? 0 : 1));
  await model.close();
});

test('evaluate scores what is learned of a completion, and refuses what it cannot read', async () => {
  const given = { model: fixture.student, sequence: 64, device: 'wasm', threads: 1 } as const;
  const path = join(fixture.folder, 'pairs.jsonl');
  writeFileSync(path, '{"prompt": "the cat", "completion": " sat"}\n');
  const learned = await evaluate({ ...given, perplexity: path });
  const all = await evaluate({ ...given, perplexity: path, lossOn: 'all' });
  assert.ok(learned.tokens > 0 && learned.tokens < all.tokens);
  const refused = async (content: string | Buffer, name: string) => {
    writeFileSync(join(fixture.folder, name), content);
    return inputErrorOf(() => evaluate({ ...given, perplexity: join(fixture.folder, name) }));
  };
  assert.match(
    await refused('{"messages": [{"role": "user", "content": "a"}]}\n', 'c.jsonl'),
    /chat template/,
  );
  assert.match(
    await refused(Buffer.from('the cat sat', 'utf16le'), 'u.txt'),
    /u\.txt: line 1, byte 1: expected UTF-8, found .*UTF-16/,
  );
  assert.match(await refused('', 'empty.txt'), /expected text with a token to predict, found none/);
});

test.run();
