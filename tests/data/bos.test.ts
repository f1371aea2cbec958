import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as Oracle } from 'tokenizers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createEncode } from '#src/data/encoding.js';
import { checkEncoding, encodingOf } from '#src/data/shards/fingerprint.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { readRunFile } from '#src/formats/runFile.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath } from '../support.js';

/** What begins a document is what the tokenizer itself puts before a text; the Hugging Face library judges. */

const fixture = makeFixture('bos');
const raw = JSON.parse(readFileSync(join(fixture.student, 'tokenizer.json'), 'utf8')) as object;

const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const text = { Sequence: { id: 'A', type_id: 0 } };
const template = (...single: object[]) => ({
  type: 'TemplateProcessing',
  single,
  pair: [...single, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: Object.fromEntries(
    ['<s>', '</s>'].map((id, i) => [id, { id, ids: [i + 1], tokens: [id] }]),
  ),
});

/** A tokenizer with a post-processor, whose config names BOS and EOS whatever that does. */
function folderOf(name: string, post_processor: object | null): string {
  const folder = join(fixture.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...raw, post_processor }));
  writeFileSync(join(folder, 'tokenizer_config.json'), '{"bos_token": "<s>", "eos_token": "</s>"}');
  return folder;
}

const none = folderOf('none', null);
const folders = {
  none,
  bos: folderOf('bos', template(token('<s>'), text)),
  both: folderOf('both', template(token('<s>'), text, token('</s>'))),
  eos: folderOf('eos', template(text, token('</s>'))),
  two: folderOf('two', template(token('</s>'), token('<s>'), text)),
  sequence: folderOf('sequence', {
    type: 'Sequence',
    processors: [
      { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
      template(token('<s>'), text),
    ],
  }),
};
const shared = ['data/models/stories260k', 'data/tokenizers/llama3', '../miniature/student']
  .map((path) => sharedPath(path))
  .filter((path) => path !== undefined);

test('a text with special tokens on, and a document without EOS, are as in the library', async () => {
  for (const folder of [...Object.values(folders), ...shared]) {
    const oracle = Oracle.fromFile(join(folder, 'tokenizer.json'));
    const tokenizer = await loadTokenizer(folder);
    for (const sample of ['the cat', '', ' two  words\n', '<s>the']) {
      const ids = (await oracle.encode(sample, null, { addSpecialTokens: true })).getIds();
      assert.equal(Array.from(tokenizer.encode(sample)), ids, folder);
      const { tokens } = createEncode(tokenizer, { eos: false })(sample);
      const after = tokenizer.after.length;
      assert.equal(Array.from(tokens), after > 0 ? ids.slice(0, -after) : ids, folder);
    }
  }
});

test('always and never: BOS once, or nothing', async () => {
  const beginning = async (folder: string, bos: 'always' | 'never') => {
    const tokenizer = await loadTokenizer(folder);
    const { tokens } = createEncode(tokenizer, { bos, eos: false })('the');
    return Array.from(
      tokens.subarray(0, tokens.length - tokenizer.encode('the', { addSpecialTokens: false }).length),
    );
  };
  for (const folder of Object.values(folders)) assert.equal(await beginning(folder, 'never'), []);
  for (const name of ['none', 'bos', 'both', 'eos', 'sequence'] as const) {
    assert.equal(await beginning(folders[name], 'always'), [1], name);
  }
  assert.equal(await beginning(folders.two, 'always'), [2, 1]);
  writeFileSync(join(none, 'tokenizer_config.json'), '{}');
  assert.match(
    await inputErrorOf(() => beginning(none, 'always')),
    /expected a tokenizer with a BOS token for --bos always/,
  );
  writeFileSync(join(none, 'tokenizer_config.json'), '{"bos_token": "<s>"}');
});

test('shards of documents that begin otherwise are refused; those from before the choice have BOS', async () => {
  const tokenizer = await loadTokenizer(none);
  const encoder = { tokenizer, name: 'MODEL', eos: false };
  checkEncoding('a', encodingOf(encoder), encoder);
  const always = { ...encoder, bos: 'always' } as const;
  assert.match(
    await inputErrorOf(() => checkEncoding('a', encodingOf(always), encoder)),
    /^a: expected documents without BOS, found such that begin with BOS \(id 1\); give --bos as it was/,
  );
  assert.match(
    await inputErrorOf(() => checkEncoding('a', encodingOf(encoder), always)),
    /found such without BOS/,
  );
  const { bos: _, ...before } = encodingOf(encoder);
  checkEncoding('a', before, always);
  assert.match(
    await inputErrorOf(() => checkEncoding('a', before, encoder)),
    /expected documents without BOS/,
  );
});

test('a run begun before the choice is resumed with BOS wherever the tokenizer has one', () => {
  const out = join(fixture.folder, 'old');
  mkdirSync(out, { recursive: true });
  const options = { student: none, data: [fixture.text], out };
  writeFileSync(join(out, 'run.json'), JSON.stringify({ version: '0.1.0', options }));
  assert.not('bos' in readRunFile(out)!.options);
  assert.is(resolveOptions({ resume: true, out }).options.bos, 'always');
  writeFileSync(
    join(out, 'run.json'),
    JSON.stringify({ version: '0.1.0', options: { ...options, bos: 'auto' } }),
  );
  assert.is(resolveOptions({ resume: true, out }).options.bos, 'auto');
});

test.run();
