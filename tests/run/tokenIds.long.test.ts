import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheTeacher, evaluate, type TrainInput, tokenize, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { byteTokens, sentencePiece } from '../data/vocabularies.js';
import { makeFixture } from '../fixtures.js';
import { withHub } from '../hub/scene.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot } from '../support.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** Whole runs on token ids of another tokenizer: all of them are those on the text that the ids stand for. */

const fixture = makeFixture('token-ids');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'ids-'));
const golden = (name: string) => join(projectRoot, 'tests/goldens/documents', name);
const ids = golden('token-ids-plain.parquet');

/** A tokenizer of bytes, without a model: ids are not the student's. */
const idsTokenizer = join(fixture.folder, 'bytes');
const tokenizerFile = Buffer.from(JSON.stringify(sentencePiece({ symbols: byteTokens, merges: [] })));
mkdirSync(idsTokenizer);
writeFileSync(join(idsTokenizer, 'tokenizer.json'), tokenizerFile);

const text = join(fixture.folder, 'text.jsonl');
const texts = JSON.parse(readFileSync(golden('token-ids.json'), 'utf8')) as string[];
writeFileSync(text, texts.map((one) => `${JSON.stringify({ text: one })}\n`).join(''));

const base: Omit<TrainInput, 'data'> = {
  ...{ student: fixture.student, evalFraction: 0.2, evalTokens: 512 },
  ...{ batch: 4, microBatch: 2, sequence: 64, threads: 1, shuffleRows: 8, checkpointEvery: 1, keep: 9 },
  ...{ lr: 1e-2, warmup: 0, schedule: 'constant', seed: 3 },
};
const asIds = { ...base, data: [ids], idsTokenizer };
const asText = { ...base, data: [text] };
const isSame = (a: { adapter: Buffer }, b: { adapter: Buffer }) => a.adapter.equals(b.adapter);

test('trained, held out and gone on with: the bytes of a run on the text', async () => {
  const [whole, plain] = [await outcomeOf({ ...asIds, steps: 6 }), await outcomeOf({ ...asText, steps: 6 })];
  assert.ok(isSame(whole, plain));
  assert.is(recordsOf(whole, 'eval').at(-1)!.nll, recordsOf(plain, 'eval').at(-1)!.nll);
  for (const steps of [1, 4]) {
    const { out } = await outcomeOf({ ...asIds, steps });
    assert.ok(isSame(await outcomeOf({ resume: true, out, steps: 6 }), whole), `stopped after ${steps}`);
  }
  const other = { resume: true, out: whole.out, idsTokenizer: fixture.student };
  assert.match(
    await inputErrorOf(() => train(other).finished),
    /^--resume: expected the options of the run: --ids-tokenizer .*bytes \(found .*student\)/,
  );
});

test('tokenize counts, and its shards train, as of the text', async () => {
  const [out, other] = [join(freshFolder(), 'shards'), join(freshFolder(), 'shards')];
  const found = await tokenize({ model: fixture.student, data: [ids], idsTokenizer, out });
  const plain = await tokenize({ model: fixture.student, data: [text], out: other });
  assert.equal([found.documents, found.tokens, found.bytes], [plain.documents, plain.tokens, plain.bytes]);
  assert.ok(
    isSame(await outcomeOf({ ...base, data: [out], steps: 2 }), await outcomeOf({ ...asText, steps: 2 })),
  );
});

test('a cache of the teacher is filled, and known as that of these ids', async () => {
  const out = join(freshFolder(), 'cache');
  const { teacher } = fixture;
  const filling = { model: teacher, out, sequence: 64, evalFraction: 0.2, threads: 1 };
  await cacheTeacher({ ...filling, data: [ids], idsTokenizer });
  const taught = { ...asIds, teacher, packing: 'best-fit', steps: 2 } as const;
  const [cached, live] = [await outcomeOf({ ...taught, teacherCache: out }), await outcomeOf(taught)];
  assert.ok(isSame(cached, live));
  for (const { teacher_tokens } of recordsOf(cached, 'step')) assert.is(teacher_tokens, 0);
  const coverage = async (change: object) =>
    (await train({ ...taught, teacherCache: out, dryRun: true, ...change }).prepared).teacherCache!.isCovered;
  assert.is(await coverage({}), true);
  // The same ids in another tokenizer are another text.
  assert.is(await coverage({ idsTokenizer: fixture.student }), false);
});

test('evaluate scores the text', async () => {
  const setting = { model: fixture.student, sequence: 64, threads: 1 };
  const found = await evaluate({ ...setting, perplexity: ids, idsTokenizer });
  const plain = await evaluate({ ...setting, perplexity: text });
  assert.equal([found.documents, found.tokens, found.nll], [plain.documents, plain.tokens, plain.nll]);
});

test('a tokenizer by its name on the Hub; a run that goes on has the commit that it began with', () =>
  withHub({ 'tokenizer.json': tokenizerFile }, async ({ hub, cache }) => {
    Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache });
    const named = { ...asIds, idsTokenizer: hub.name };
    const { out, adapter } = await outcomeOf({ ...named, steps: 2 });
    assert.ok(isSame(await outcomeOf({ ...asText, steps: 2 }), { adapter }));
    const { commits } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as { commits: object };
    assert.equal(commits, { idsTokenizer: hub.commit });
    const requests = hub.requests.length;
    await outcomeOf({ resume: true, out, steps: 3 });
    assert.is(hub.requests.length, requests);
  }));

test('ids that are none: one line with the row, and nothing is written', async () => {
  const out = join(freshFolder(), 'run');
  const bad = join(freshFolder(), 'bad.jsonl');
  writeFileSync(bad, '{"input_ids":[4,5,259]}\n');
  assert.match(
    await inputErrorOf(
      () => train({ ...asIds, data: [bad], out, evalFraction: 0, evalTokens: undefined }).finished,
    ),
    /bad\.jsonl: line 1, byte 0: expected token ids of .*bytes, from 0 to 258, found 259 as number 2; give the model/,
  );
  assert.match(
    await inputErrorOf(() => train({ ...asIds, idsTokenizer: undefined, out }).finished),
    /found token ids in column "input_ids"; give the model that they were made with as --ids-tokenizer$/,
  );
});

test.after(() => rmSync(fixture.folder, { recursive: true, force: true }));

test.run();
