import { join } from 'node:path';
import { type Completion, DivergedError, loadModel, loadTokenizer, type Tokenizer } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeAdapter } from '#src/formats/adapter.js';
import { complete } from '#src/inference/generation.js';
import type { KeyValueCache } from '#src/inference/keyValueCache.js';
import { adapterConfig, type LoraOptions, loraShapes } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { sentencePiece, tokenizerFolder } from '../data/vocabularies.js';
import { makeFixture } from '../fixtures.js';
import { floatSource } from '../formats/tensors.js';
import { runErrorOf } from '../hub/scene.js';

/** What ends a completion, and models whose logits are no numbers. */

const fixture = makeFixture('generation');
const SETTINGS = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0, stop: [] };

/** Logits of a model that says these ids, whatever it reads. */
function saying(ids: readonly number[], tokenizer: Tokenizer): KeyValueCache {
  let said = 0;
  const next = async () => {
    const logits = new Float32Array(tokenizer.vocabularySize);
    logits[ids[said++]!] = 9;
    return [logits];
  };
  return { rows: 1, read: next, advance: next } as unknown as KeyValueCache;
}

async function ended(tokenizer: Tokenizer, text: string, stop: readonly string[]): Promise<Completion> {
  const ids = [...tokenizer.encode(text, { addSpecialTokens: false })];
  const settings = { ...SETTINGS, maxTokens: ids.length, stop };
  const prompts = [{ index: 0, ids: [5] }];
  for await (const record of complete(saying(ids, tokenizer), tokenizer, prompts, settings, [])) {
    if (record.type === 'end') return record;
  }
  return assert.unreachable('expected an end, found none') as never;
}

/** Bytes as GPT-2 writes them: those without a sign of their own have one from U+0100 on. */
function byteLevel(): object {
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let others = 0x100;
  const symbols = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : others++),
  );
  const ends = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const added = { '<|end|>': { special: true }, '<|tool|>': {} };
  const parts = { normalizer: null, pre_tokenizer: ends, decoder: ends, post_processor: null };
  const model = { unk_token: null, fuse_unk: false, byte_fallback: false };
  return sentencePiece({ symbols, merges: ['! !'], added, model, ...parts });
}

const ends = suite('what ends a completion');

ends('a stop is a text, not the name of a token', async () => {
  const bytes = await loadTokenizer(tokenizerFolder(byteLevel()));
  const pieces = await loadTokenizer(fixture.student);
  const cases: [tokenizer: Tokenizer, text: string, stop: string[], expected: string][] = [
    // 語 is the bytes that GPT-2 writes as "èªŀ".
    [bytes, '日本語 è', ['è'], '日本語 '],
    [bytes, 'a b', ['Ġ'], 'a b'],
    [bytes, 'what?! no', ['!', '?!'], 'what'],
    [bytes, 'what?! no', ['?!'], 'what'],
    [bytes, 'a!!b', ['!!'], 'a'],
    [pieces, 'cat\nsat', ['<0x0A>'], 'cat\nsat'],
    [pieces, 'sat on the mat', ['▁the'], 'sat on the mat'],
    [pieces, 'sat on the mat', [' the'], 'sat on'],
  ];
  for (const [tokenizer, text, stop, expected] of cases) {
    const found = await ended(tokenizer, text, stop);
    assert.equal([found.text, found.finish], [expected, expected === text ? 'length' : 'stop']);
  }
});

ends('but for special tokens, which are not in the text', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder(byteLevel()));
  const text = 'a<|tool|>b<|end|>c';
  assert.is((await ended(tokenizer, text, [])).text, 'a<|tool|>bc');
  const special = await ended(tokenizer, text, ['<|end|>']);
  assert.equal([special.text, special.finish, special.ids.length], ['a<|tool|>b', 'stop', 4]);
  const other = await ended(tokenizer, text, ['<|tool|>']);
  assert.equal([other.text, other.finish, other.ids.length], ['a', 'stop', 2]);
});

ends.run();

const overflowing = suite('an adapter of finite numbers that are too large');

/** Of products beyond f32. */
async function hugeAdapter(): Promise<string> {
  const { config } = openModelFiles(fixture.student);
  const lora: LoraOptions = {
    ...{ rank: 2, alpha: 2, rsLora: false, dropout: 0, targetModules: ['o_proj'] },
  };
  const tensors = [...loraShapes(config, lora)].map(([name, shape]) =>
    floatSource(name, shape, new Float32Array(shape.reduce((a, b) => a * b)).fill(1e25)),
  );
  const folder = join(fixture.folder, 'huge');
  await writeAdapter(folder, adapterConfig(lora, 'base'), tensors);
  return folder;
}

overflowing('is told wherever its model answers, and answers nothing', async () => {
  const options = { device: 'wasm', threads: 1, sequence: 8, context: 32 } as const;
  const model = await loadModel(fixture.student, { ...options, adapter: await hugeAdapter() });
  const write = (settings: object) => model.complete([{ ids: [5] }], { maxTokens: 2, ...settings });
  const calls = [
    () => model.choices([{ context: [5, 6], continuations: [[7]] }]),
    () => model.choices([{ context: [5, 6], continuations: [[8, 9]] }]),
    () => model.continuations([{ tokens: Uint32Array.of(5, 6, 7) }]),
    () => write({}),
    ...[{}, { topP: 0.9 }, { topK: 5 }, { minP: 0.1 }].map(
      (more) => () => write({ temperature: 1, ...more }),
    ),
  ];
  for (const call of calls) {
    assert.match(
      await runErrorOf(call()),
      /^expected (finite logits|a finite log-likelihood), found NaN; check the model and its adapter$/,
    );
    await call().catch((error) => assert.instance(error, DivergedError));
  }
  await model.close();
});

overflowing('one number that is none is enough', async () => {
  const tokenizer = await loadTokenizer(fixture.student);
  for (const other of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const temperature of [0, 1]) {
      const logits = new Float32Array(tokenizer.vocabularySize);
      logits.set([3, other, 5]);
      const cache = { rows: 1, read: async () => [logits] } as unknown as KeyValueCache;
      const settings = { ...SETTINGS, temperature, maxTokens: 1 };
      const records = complete(cache, tokenizer, [{ index: 0, ids: [5] }], settings, []);
      assert.match(await runErrorOf(records.next()), `expected finite logits, found ${other}`);
    }
  }
});

overflowing.run();
