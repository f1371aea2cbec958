import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assistantSpans } from '#src/data/chat/assistantSpans.js';
import { type ChatTemplateSource, hashOfTemplate, readChatTemplate } from '#src/data/chat/source.js';
import { ChatTemplate } from '#src/data/chat/template.js';
import { Problem } from '#src/data/documents/problems.js';
import { createEncode } from '#src/data/encoding.js';
import type { Conversation, Encoded, Example } from '#src/data/examples.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { inputErrorOf } from '../inputErrors.js';
import { projectRoot, sharedPath, temporaryFolder } from '../support.js';

const folder = join(projectRoot, 'tests/goldens/chat');
const tokenizer = await loadTokenizer(folder);

interface Expected extends Conversation {
  readonly text: string;
  readonly prompted: string;
  readonly ids: number[];
  readonly mask: string;
}

const expected = Object.entries(
  JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Expected>,
);
const marked = (name: string): ChatTemplateSource => readChatTemplate(folder, join(folder, `${name}.jinja`))!;
const withTemplate = (source: ChatTemplateSource, template: string): ChatTemplateSource => ({
  ...source,
  templates: { default: template },
});
/** Without generation tags. */
const plain = (name: string): ChatTemplateSource =>
  withTemplate(marked(name), marked(name).templates.default!.replaceAll(/{% (end)?generation %}/g, ''));
const made = (template: string): ChatTemplateSource => withTemplate(marked('zephyr'), template);

const encoded = (chatTemplate: ChatTemplateSource, example: Example, lossOn?: 'all'): Encoded =>
  createEncode(tokenizer, { eos: false, chatTemplate, ...(lossOn && { lossOn }) })(example);
const maskOf = ({ learned }: Encoded): string => Array.from(learned!).join('');

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.instance(error, Problem);
    return (error as Problem).message;
  }
  throw new Error('expected a problem');
}

const conversationOf = ({ messages, tools }: Expected): Conversation => ({
  messages,
  ...(tools && { tools }),
});

const goldens = suite('as transformers');

for (const [name, golden] of expected) {
  const [template] = name.split('/') as [string];
  const conversation = conversationOf(golden);
  goldens(`text and mask: ${name}`, () => {
    const rendered = new ChatTemplate(marked(template));
    assert.is(rendered.render(conversation, false), golden.text);
    assert.is(rendered.render(conversation, true), golden.prompted);
    const found = encoded(marked(template), conversation);
    assert.equal(Array.from(found.tokens), golden.ids);
    assert.is(maskOf(found), golden.mask);
    assert.is(encoded(marked(template), conversation, 'all').learned, undefined);
  });
  if (template === 'generation') continue;
  goldens(`mask without generation tags: ${name}`, () => {
    const found = encoded(plain(template), conversation);
    assert.equal(Array.from(found.tokens), golden.ids);
    assert.is(maskOf(found), golden.mask);
  });
}

goldens.run();

const chat = suite('chat');

chat('the date of a rendering is not that of the day', () => {
  const source = made("{{ strftime_now('%d %b %Y') }}");
  assert.is(new ChatTemplate(source).render({ messages: [] }, false), '26 Jul 2024');
});

chat('what a template raises is told in one line', () => {
  const messages = ['user', 'user'].map((role) => ({ role, content: 'x' }));
  assert.match(
    problemOf(() => new ChatTemplate(marked('mistral')).render({ messages }, false)),
    /^expected a conversation that the chat template takes, found that it says "After the optional system/,
  );
});

chat('a template that is none is refused with its path', async () => {
  assert.match(
    await inputErrorOf(() => new ChatTemplate(made('{% if %}'))),
    /zephyr\.jinja: expected a chat template in Jinja, found .*; give another --chat-template/,
  );
});

chat('templates are found where transformers looks for them', async () => {
  const model = temporaryFolder('chat');
  const config = (content: object) =>
    writeFileSync(join(model, 'tokenizer_config.json'), JSON.stringify(content));
  assert.is(readChatTemplate(model), undefined);
  config({ bos_token: '<s>' });
  assert.is(readChatTemplate(model), undefined);
  config({ eos_token: { content: '</s>' }, pad_token: null, chat_template: 'a' });
  assert.equal(readChatTemplate(model)!.templates, { default: 'a' });
  assert.equal(readChatTemplate(model)!.specialTokens, { eos_token: '</s>' });
  const named = ['default', 'tool_use'].map((name) => ({ name, template: name }));
  config({ chat_template: named });
  const both = new ChatTemplate(readChatTemplate(model)!);
  assert.is(both.render({ messages: [] }, false), 'default');
  assert.is(both.render({ messages: [], tools: [{}] }, false), 'tool_use');
  config({ chat_template: named.slice(1) });
  assert.match(
    await inputErrorOf(() => readChatTemplate(model)),
    /named default, found "tool_use"; give one/,
  );
  writeFileSync(join(model, 'chat_template.jinja'), 'beside');
  assert.equal(readChatTemplate(model)!.templates, { default: 'beside' });
  mkdirSync(join(model, 'other'));
  writeFileSync(join(model, 'other/x.jinja'), 'given');
  assert.equal(readChatTemplate(model, join(model, 'other/x.jinja'))!.templates, { default: 'given' });
  assert.match(
    await inputErrorOf(() => readChatTemplate(model, 'nowhere.jinja')),
    /nowhere\.jinja: expected/,
  );
  assert.is.not(hashOfTemplate(made('a')), hashOfTemplate(made('b')));
  assert.is(hashOfTemplate(made('a')), hashOfTemplate({ ...made('a'), path: 'elsewhere' }));
});

chat('turns that are given are only read, with generation tags and without', () => {
  const turn = (role: string, content: string) => ({ role, content });
  const messages = ['a', 'b', 'c', 'd'].map((text, i) => turn(i % 2 ? 'assistant' : 'user', text));
  const { text } = assistantSpans(new ChatTemplate(plain('zephyr')), { messages });
  for (const source of [plain('zephyr'), marked('zephyr')]) {
    const template = new ChatTemplate(source);
    const learned = (given: number) =>
      assistantSpans(template, { messages, given }).spans.map(({ start, end }) =>
        text.slice(start, end).trim(),
      );
    assert.equal(
      learned(0).map((part) => part[0]),
      ['b', 'd'],
    );
    assert.equal(learned(1), learned(0));
    assert.equal(learned(2), learned(0).slice(1));
    assert.equal(learned(3), learned(0).slice(1));
    assert.match(
      problemOf(() => learned(4)),
      /^expected a turn of the assistant/,
    );
  }
});

chat('a conversation nobody learns from, and one without a template', () => {
  const user = { messages: [{ role: 'user', content: 'x' }] };
  assert.match(
    problemOf(() => encoded(marked('zephyr'), user)),
    /^expected a turn of the assistant/,
  );
  assert.is(encoded(marked('zephyr'), user, 'all').learned, undefined);
  assert.match(
    problemOf(() => createEncode(tokenizer, { eos: false })(user)),
    /--chat-template FILE$/,
  );
});

chat('generation blocks that a template changes after are refused', async () => {
  const source = made(
    '{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x | length }}{{ messages[0].role }}',
  );
  const messages = [{ role: 'assistant', content: 'x' }];
  assert.match(
    problemOf(() => encoded(source, { messages })),
    /^expected generation blocks that do not change/,
  );
  const unclosed = made('{% generation %}{{ messages[0].content }}');
  assert.match(await inputErrorOf(() => encoded(unclosed, { messages })), /Unexpected end of template/);
});

chat('marks are characters that the conversation does not hold', () => {
  const source = made(
    '{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}',
  );
  const content = 'a\ue000\ue001b';
  const { text, generations } = new ChatTemplate(source).renderTurns({
    messages: [{ role: 'assistant', content }],
  });
  assert.is(text, content);
  assert.equal(generations, [{ start: 0, end: content.length }]);
});

chat('a token that straddles a boundary belongs to what follows it', () => {
  const around = (before: string, content: string, after: string) => {
    const generation = '{% generation %}{{ messages[0].content }}{% endgeneration %}';
    const messages = [{ role: 'assistant', content }];
    const { tokens, learned } = encoded(made(before + generation + after), { messages });
    assert.equal(tokens, tokenizer.encode(before + content + after, { addSpecialTokens: false }));
    return Array.from(tokens, (id, i) => `${tokenizer.decode([id])}${learned![i]}`).join('|');
  };
  assert.is(around('Hi', ' you', ' are'), 'Hi0| you1| are0', '" you" is one token');
  assert.is(around('Hi', ' y', 'ou are'), 'Hi0| you0| are0');
  assert.is(around('H', 'i you', ''), 'Hi1| you1');
  assert.is(around('Hi', '', ' you'), 'Hi0| you0');
});

const contents = fc
  .array(fc.constantFrom('cat ', 'I am', '\n', '😀', ' ', 'é', '<|im_end|>', 'x', '</s>', '{{ a }}'), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''));

chat('masks cover the content of the assistant and the end of its turn, in random conversations', () => {
  const names = readdirSync(folder).filter((name) => /^(qwen2|smollm2|zephyr)\.jinja$/.test(name));
  assert.is(names.length, 3);
  const turns = fc.array(fc.record({ role: fc.constantFrom('user', 'assistant'), content: contents }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(turns, fc.constantFrom('qwen2', 'smollm2', 'zephyr'), (others, name) => {
      const messages = [{ role: 'user', content: 'Hi' }, ...others];
      if (!messages.some(({ role }) => role === 'assistant')) return;
      const end = name === 'zephyr' ? '</s>' : '<|im_end|>';
      const wanted = messages
        .filter(({ role }) => role === 'assistant')
        .map(({ content }) => `${content}${end}\n`);
      for (const source of [marked(name), plain(name)]) {
        const { tokens, learned } = encoded(source, { messages });
        assert.is(tokenizer.decode(tokens.filter((_, i) => learned![i])), wanted.join(''));
        assert.equal(encoded(source, { messages }, 'all').tokens, tokens);
      }
    }),
    { numRuns: 150 },
  );
});

chat.run();

const pairs = suite('prompt and completion');

pairs('BOS, both as one text, and EOS; the completion is learned', () => {
  const encode = createEncode(tokenizer, { eos: false });
  const { tokens, learned } = encode({ prompt: 'who are', completion: ' you?' });
  const text = Array.from(tokenizer.encode('who are you?', { addSpecialTokens: false }));
  assert.equal(Array.from(tokens), [...tokenizer.before, ...text, tokenizer.eosId]);
  assert.is(tokenizer.decode(tokens.filter((_, i) => learned![i])), ' you?</s>');
  const all = createEncode(tokenizer, { eos: false, lossOn: 'all' });
  assert.equal(all({ prompt: 'who are', completion: ' you?' }), { tokens });
  assert.match(
    problemOf(() => encode({ prompt: 'x', completion: '' })),
    /^expected a completion/,
  );
});

const stories = sharedPath('data/models/stories260k');
const withStories = stories === undefined ? pairs.skip : pairs;

withStories('the spaces of SentencePiece are those of the whole text', async () => {
  const sentencePiece = await loadTokenizer(stories!);
  const encode = createEncode(sentencePiece, { eos: false });
  const plainText = fc
    .array(fc.constantFrom('once', ' upon', ' ', 'a', '\n', ' time', 'é'))
    .map((p) => p.join(''));
  fc.assert(
    fc.property(plainText, plainText, (prompt, completion) => {
      if (completion === '') return;
      const { tokens, learned } = encode({ prompt, completion });
      const whole = sentencePiece.encode(prompt + completion, { addSpecialTokens: false });
      const eos = sentencePiece.eosId === undefined ? [] : [sentencePiece.eosId];
      assert.equal(Array.from(tokens), [...sentencePiece.before, ...whole, ...eos]);
      const first = learned!.indexOf(1);
      const before = [...sentencePiece.before, ...sentencePiece.encode(prompt, { addSpecialTokens: false })];
      assert.equal(Array.from(tokens.subarray(0, first)), before.slice(0, first));
      assert.ok(first === before.length || before[first] !== tokens[first]);
      assert.ok(learned!.subarray(first).every((flag) => flag === 1));
    }),
  );
  const { tokens, learned } = encode({ prompt: 'Once upon', completion: ' a time' });
  assert.equal(
    Array.from(
      tokens.filter((_, i) => learned![i] === 1),
      (id) => sentencePiece.tokenOf(id),
    ).slice(0, 2),
    ['▁a', '▁time'],
  );
});
withStories('a conversation in SentencePiece', async () => {
  const sentencePiece = await loadTokenizer(stories!);
  const source = made(
    '{{ bos_token }}{% for m in messages %}{% if m.role == "user" %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}',
  );
  const messages = ['One', 'a time', 'upon', 'a cat'].map((content, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content,
  }));
  const { tokens, learned } = createEncode(sentencePiece, { eos: false, chatTemplate: source })({
    messages,
  });
  const text = new ChatTemplate(source).render({ messages }, false);
  assert.equal(tokens, sentencePiece.encode(text, { addSpecialTokens: false }));
  const said = Array.from(
    tokens.filter((_, i) => learned![i] === 1),
    (id) => sentencePiece.tokenOf(id),
  );
  assert.is(said.join(''), '▁a▁time</s>▁a▁cat</s>');
});

pairs.run();
