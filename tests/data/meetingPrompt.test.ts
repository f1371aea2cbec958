import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readChatTemplate } from '#src/data/chat/source.js';
import { Problem } from '#src/data/documents/problems.js';
import { createEncode, createEncodePrompt } from '#src/data/encoding.js';
import { keptPart, MeetingPrompts } from '#src/data/meetingPrompt.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { QMSUM_DEFAULTS, type QmsumOptions } from '#src/options/qmsum.js';
import { miniaturePaths } from '#src/prepare/miniature.js';
import { projectRoot } from '../support.js';

/** Queries about meetings as they are asked, answered and cut. */

const chatFolder = join(projectRoot, 'tests/goldens/chat');
const miniature = await loadTokenizer(miniaturePaths().student);
const chatTokenizer = await loadTokenizer(chatFolder);
const QUERY = {
  query: 'What about lunch?',
  answer: 'It is at noon.',
  transcript: 'Bo: When is lunch ?\nAl: At noon .',
};
const ASKED =
  'You are given a meeting transcript and a query containing a question or instruction. Answer the query in one or more ' +
  'sentences.\n\nTranscript:\nBo: When is lunch ?\nAl: At noon .\n\nNow, answer the query based on the above meeting ' +
  'transcript in one or more sentences.\n\nQuery: What about lunch?\nAnswer:';
const KEEPS = ['head', 'tail', 'middle', 'ends'] as const;
const chat: QmsumOptions = { ...QMSUM_DEFAULTS, prompt: 'chat' };

const prompts = suite('queries about meetings');

prompts('are asked in the words of LongBench, and answered', () => {
  const asked = new MeetingPrompts(miniature);
  assert.equal(asked.example(QUERY), { prompt: ASKED, completion: ' It is at noon.' });
  assert.equal(new MeetingPrompts(miniature, chat).example(QUERY), {
    messages: [
      { role: 'user', content: ASKED },
      { role: 'assistant', content: 'It is at noon.' },
    ],
  });
});

prompts('the answer is learned, and its end', () => {
  const { tokens, learned } = createEncode(miniature, { eos: false })(QUERY);
  const prompt = createEncodePrompt(miniature, {})(QUERY);
  assert.equal(tokens.subarray(0, prompt.length), prompt);
  assert.equal(learned, new Uint8Array(tokens.length).fill(1, prompt.length));
  assert.is(prompt[0], miniature.bosId);
  const answer = Array.from(tokens.subarray(prompt.length));
  assert.is(answer.pop(), miniature.eosId);
  assert.is(miniature.decode([miniature.bosId!, ...answer], { skipSpecialTokens: true }), 'It is at noon.');
  assert.is(createEncode(miniature, { eos: false, lossOn: 'all' })(QUERY).learned, undefined);
});

for (const name of ['llama3', 'qwen3', 'mistral', 'smollm2', 'zephyr']) {
  prompts(`with the chat template ${name}: what is given is what is not learned`, () => {
    const chatTemplate = readChatTemplate(chatFolder, join(chatFolder, `${name}.jinja`))!;
    const { tokens, learned } = createEncode(chatTokenizer, { eos: false, chatTemplate, qmsum: chat })(QUERY);
    const prompt = createEncodePrompt(chatTokenizer, { chatTemplate, qmsum: chat })(QUERY);
    assert.equal(tokens.subarray(0, prompt.length), prompt);
    assert.is(learned!.indexOf(1), prompt.length);
    assert.ok(chatTokenizer.decode(tokens.subarray(prompt.length)).includes('It is at noon.'));
    assert.ok(chatTokenizer.decode(prompt).includes(ASKED));
  });
}

prompts('a model without a chat template is asked in none', () => {
  const isTold = (error: unknown) =>
    error instanceof Problem && /give --chat-template FILE$/.test(error.message);
  assert.throws(() => createEncode(miniature, { eos: false, qmsum: chat })(QUERY), isTold);
  assert.throws(() => createEncodePrompt(miniature, { qmsum: chat })(QUERY), isTold);
});

prompts('a long transcript is cut before it is put in', () => {
  const transcript = Array.from({ length: 400 }, (_, i) => `Al: turn number ${i}`).join('\n');
  const long = { ...QUERY, transcript };
  const asked = new MeetingPrompts(miniature, { ...QMSUM_DEFAULTS, tokens: 50, keep: 'tail' });
  const kept = keptPart(transcript, 'tail', 50, miniature);
  assert.ok(transcript.endsWith(kept) && kept.length > 0);
  for (let i = 0; i < 2; i++) assert.is(asked.ask(long), ASKED.replace(QUERY.transcript, kept));
  assert.is(asked.ask(QUERY), ASKED, 'another one is cut anew');
  const all = new MeetingPrompts(miniature, { ...QMSUM_DEFAULTS, tokens: 'all' });
  assert.is(all.ask(long), ASKED.replace(QUERY.transcript, transcript));
});

prompts.run();

const cutting = suite('what is kept of a transcript');
const tokensOf = (text: string) => miniature.encode(text, { addSpecialTokens: false }).length;
const kept = (text: string, keep: QmsumOptions['keep'], tokens: number) =>
  keptPart(text, keep, tokens, miniature);
/** A token a character. */
const characters = { encode: (text: string) => Uint32Array.from(text, () => 0) };

cutting('which words', () => {
  const text = 'one two\nthree four  five';
  const cases: readonly [keep: QmsumOptions['keep'], tokens: number, expected: string][] = [
    ['head', 24, text],
    ['head', 23, 'one two\nthree four'],
    ['head', 12, 'one two'],
    ['head', 2, ''],
    ['tail', 12, 'four  five'],
    ['tail', 16, 'three four  five'],
    ['middle', 17, 'two\nthree four'],
    ['middle', 9, 'two\nthree'],
    ['ends', 20, 'one two\n...\nfive'],
    ['ends', 12, 'one\n...\nfive'],
    ['ends', 8, 'one\n...\n'],
    ['ends', 3, ''],
  ];
  for (const [keep, tokens, expected] of cases) {
    assert.is(keptPart(text, keep, tokens, characters), expected, `${keep} of ${tokens}`);
  }
});

cutting('never more tokens than asked for, and no word that would still fit', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abé.😀,x'), minLength: 1, maxLength: 6 });
  const texts = fc.array(word, { maxLength: 60 }).map((words) => words.join(' '));
  const property = fc.property(texts, fc.integer({ min: 1, max: 60 }), (text, tokens) => {
    for (const keep of KEEPS) {
      const part = kept(text, keep, tokens);
      if (tokensOf(text) <= tokens) assert.is(part, text);
      else assert.ok(part === '' || tokensOf(part) <= tokens, `${keep}: ${part}`);
    }
    const head = kept(text, 'head', tokens);
    assert.ok(text.startsWith(head));
    const next = /^\s*\S+/.exec(text.slice(head.length))?.[0];
    if (next !== undefined) assert.ok(tokensOf(head + next) > tokens, `${head}|${next}`);
    assert.ok(text.endsWith(kept(text, 'tail', tokens)));
    assert.ok(text.includes(kept(text, 'middle', tokens)));
  });
  fc.assert(property, { numRuns: 300, seed: 1, includeErrorInReport: true });
});

cutting.run();
