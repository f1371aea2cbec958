import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { readPrompts } from '#src/inference/promptFile.js';
import { type Prompt, PromptEncoder } from '#src/inference/prompts.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What a model is to go on with, from a line of a file to ids. */

const fixture = makeFixture('prompts');
const ROWS = STUDENT.vocab_size as number;
const templates = {
  default:
    '{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}{{ tools | tojson if tools }}',
};
const templatePath = join(fixture.folder, 'calls.jinja');
writeFileSync(templatePath, templates.default);
const tokenizer = await loadTokenizer(fixture.student);
const encoder = new PromptEncoder(tokenizer, ROWS, fixture.student, templatePath);

let files = 0;
const write = (content: string | Uint8Array): string => {
  const path = join(fixture.folder, `prompts-${files++}.jsonl`);
  writeFileSync(path, content);
  return path;
};
const deep = (inside: string) => '['.repeat(20_000) + inside + ']'.repeat(20_000);

const tests = suite('prompts');

tests('turns have the ids that a run reads, whatever their numbers and keys', async () => {
  const calls = '[{"x": 1.0, "10": 12345678901234567890, "2": 1e16}]';
  const path = write(
    `{"messages": [{"role": "user", "content": "the cat", "tool_calls": ${calls}}], "tools": [{"9": 2.0, "1": 0}]}\n`,
  );
  const encode = createEncode(tokenizer, {
    eos: false,
    lossOn: 'all',
    chatTemplate: { path: templatePath, templates, specialTokens: {} },
  });
  const documents = await openDocuments({ paths: [path] });
  for await (const document of documents.read()) {
    assert.ok('example' in document);
    const read = encode(document.example).tokens;
    assert.equal(encoder.encode(readPrompts(path)[0]!.prompt, 'prompt'), read);
    assert.match(tokenizer.decode(read), '{"x": 1.0, "10": 12345678901234567890, "2": 1e+16}');
  }
});

tests('a byte order mark is no part of the first prompt', () => {
  assert.equal(
    readPrompts(write('\ufeff{"prompt": "a"}\r\n\r\n{"ids": [1, 2.0]}')).map(({ prompt }) => prompt),
    ['a', { ids: [1, 2] }],
  );
});

tests('refuses a file that is no text, with the place', async () => {
  const latin = Buffer.from('{"prompt": "a"}\n{"prompt": "\xe9"}\n', 'latin1');
  assert.match(
    await inputErrorOf(() => readPrompts(write(latin))),
    /\.jsonl: line 2, byte 29: expected UTF-8/,
  );
});

const user = (fields: object) => ({ messages: [{ role: 'user', ...fields }] });
const wrong: readonly (readonly [what: string, prompt: unknown, message: RegExp])[] = [
  ['turns that are no list', { messages: 'a' }, /^prompt: expected a list of messages, found "a"/],
  ['none at all', { messages: null }, /^prompt: expected a list of messages, found null/],
  ['an empty list', { messages: [] }, /^prompt: expected messages, found an empty list/],
  ['a turn that is none', { messages: [null] }, /^prompt: turn 1: expected an object with role and content/],
  [
    'a role that is no text',
    { messages: [{ role: 1 }] },
    /^prompt: turn 1: expected a text as role, found 1/,
  ],
  ['a turn that says nothing', user({}), /^prompt: turn 1: expected content or tool_calls/],
  [
    'values without end',
    user({ content: 'a', x: JSON.parse(deep('1')) }),
    /^prompt: turn 1: expected fewer than 100 levels/,
  ],
  [
    'functions that are no list',
    { ...user({ content: 'a' }), tools: 'x' },
    /^prompt: expected a list of fun/,
  ],
];
for (const [what, prompt, message] of wrong) {
  tests(`refuses ${what}`, async () => {
    assert.match(await inputErrorOf(() => encoder.encode(prompt as Prompt, 'prompt')), message);
  });
}

tests('refuses turns of values without end in a file', async () => {
  const path = write(`{"messages": [{"role": "user", "content": "a", "x": ${deep('1.0')}}]}`);
  const { prompt, place } = readPrompts(path)[0]!;
  assert.match(await inputErrorOf(() => encoder.encode(prompt, place)), /\.jsonl:1: turn 1: expected fewer/);
});

tests.run();
