import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assistantSpans } from '#src/data/chat/assistantSpans.js';
import { learnedIn } from '#src/data/chat/learned.js';
import { readChatTemplate } from '#src/data/chat/source.js';
import { ChatTemplate } from '#src/data/chat/template.js';
import { Problem } from '#src/data/documents/problems.js';
import { exampleOfJson } from '#src/data/documents/records.js';
import { createEncode } from '#src/data/encoding.js';
import type { Conversation } from '#src/data/examples.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { projectRoot, sharedPath, temporaryFolder } from '../../support.js';

/** What is learned of conversations, by templates and by what the turns say. */

const made = (template: string): ChatTemplate =>
  new ChatTemplate({ path: 'x', templates: { default: template }, specialTokens: { eos_token: '</s>' } });
const without = (template: string): string => template.replaceAll(/{% (end)?generation %}/g, '');
const read = (record: object): Conversation =>
  exampleOfJson(JSON.stringify(record), undefined) as Conversation;
const said = (template: string, conversation: Conversation): string[] => {
  const { text, spans } = assistantSpans(made(template), conversation);
  return spans.map(({ start, end }) => text.slice(start, end));
};
const turn = (role: string, content: string, more: object = {}) => ({ role, content, ...more });
const talk = [turn('user', 'a'), turn('assistant', 'b'), turn('user', 'c'), turn('assistant', 'd')];

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.instance(error, Problem);
    return (error as Problem).message;
  }
  throw new Error('expected a problem');
}

/** Ends with EOS where it does not end with a prompt. */
const PHI = `{% for m in messages %}{% if m.role == 'user' %}{{ '<|user|>\n' + m.content + '<|end|>\n' }}
{%- else %}{{ '<|assistant|>\n' }}{% generation %}{{ m.content + '<|end|>\n' }}{% endgeneration %}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% elif messages[-1].role == 'assistant' %}{% generation %}{{ eos_token }}{% endgeneration %}{% else %}{{ eos_token }}{% endif %}`;
/** Puts the system message into the last turn of the user. */
const MISTRAL = `{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set talk = messages[1:] %}
{%- else %}{% set talk = messages %}{% endif %}{% for m in talk %}{% if m.role == 'user' %}[INST] {% if loop.last or loop.index == talk|length - 1 %}
{{- (system ~ ' ') if system is defined }}{% endif %}{{ m.content }} [/INST]{% else %}{% generation %} {{ m.content }}</s>{% endgeneration %}{% endif %}{% endfor %}`;
/** Leaves thoughts out of earlier turns, and prompts with the beginning of one. */
const THINKING = `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' %}{% generation %}{% if loop.last %}{{ '<think>\n' ~ m.reasoning_content ~ '</think>' }}{% endif %}{{ m.content }}<|im_end|>
{% endgeneration %}{% else %}{{ m.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}`;

const masks = suite('what is learned');

for (const [name, template] of Object.entries({ PHI, MISTRAL, THINKING })) {
  masks(`without generation blocks is what is in them: ${name}`, () => {
    for (const messages of [
      talk,
      talk.slice(0, 2),
      talk.slice(0, 3),
      name === 'MISTRAL' ? [turn('system', 's'), ...talk] : talk,
    ]) {
      const conversation = read({ messages });
      const blocks = said(template, conversation).join('|').replace('\n|</s>', '\n</s>');
      assert.is(said(without(template), conversation).join('|'), blocks);
      assert.ok(
        blocks.startsWith(
          name === 'MISTRAL' ? ' b' : messages.length === 2 && name === 'THINKING' ? '<think>' : 'b',
        ),
      );
    }
  });
}

masks('is what the turns do not exclude, with generation blocks and without', () => {
  const template = `{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`;
  for (const text of [template, without(template)]) {
    const learned = (more: object) =>
      said(text, read({ messages: [talk[0], { ...talk[1], ...more }, ...talk.slice(2)] }));
    for (const more of [{ weight: 0 }, { weight: 0.0 }, { train: false }, { train: false, weight: 1 }]) {
      assert.equal(learned(more), ['d</s>'], JSON.stringify(more));
    }
    for (const more of [{}, { weight: 1 }, { train: true }, { weight: null, train: null }]) {
      assert.equal(learned(more), ['b</s>', 'd</s>'], JSON.stringify(more));
    }
    const none = { messages: talk.map((message) => ({ ...message, weight: 0 })) };
    assert.match(
      problemOf(() => said(text, read(none))),
      /^expected a turn of the assistant to learn, found none/,
    );
  }
});

masks('is refused where a template writes the turns in more than one place', () => {
  const twice = '{% for i in [1, 2] %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfor %}';
  assert.match(
    problemOf(() => said(twice, read({ messages: talk }))),
    /^turn 2: expected a chat template that writes the turns one after the other, found one .*--loss-on all$/,
  );
});

masks('is refused where a template takes several turns together', () => {
  const pairs =
    '{% for i in range(0, messages|length, 2) %}{{ messages[i].content }}{{ messages[i + 1].content }};{% endfor %}';
  assert.match(
    problemOf(() => said(pairs, read({ messages: talk }))),
    /^turn 2: expected .* one after the other, found one that takes several together; use a --chat-template .*--loss-on all$/,
  );
});

masks('of a template that has no loop over the turns is what each adds', () => {
  const counting = `{% for i in range(messages|length) %}<{{ messages[i].role }}>{{ messages[i].content }};{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;
  assert.equal(said(counting, read({ messages: talk })), ['b;', 'd;']);
});

masks('of templates that print the turns from a macro, or a text that was captured', () => {
  const line = '{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}';
  for (const template of [
    `{% macro all() %}${line}{% endmacro %}{{ all() }}`,
    `{% set all %}${line}{% endset %}{{ all }}`,
    `{% filter replace('q', 'r') %}${line}{% endfilter %}`,
  ]) {
    const prompted = `${template}{% if add_generation_prompt %}<assistant>{% endif %}`;
    assert.equal(said(prompted, read({ messages: talk })), ['b;', 'd;']);
  }
});

masks('takes time that is linear in the length of a conversation', async () => {
  const folder = join(projectRoot, 'tests/goldens/chat');
  const chatTemplate = readChatTemplate(folder, join(folder, 'qwen3.jinja'))!;
  const plain = { ...chatTemplate, templates: { default: without(chatTemplate.templates.default!) } };
  const encode = createEncode(await loadTokenizer(folder), { eos: false, chatTemplate: plain });
  const timeOf = (turns: number): number => {
    const messages = Array.from({ length: turns }, (_, i) =>
      turn(i % 2 ? 'assistant' : 'user', 'words '.repeat(40)),
    );
    encode({ messages });
    const start = performance.now();
    encode({ messages });
    return performance.now() - start;
  };
  const [short, long] = [timeOf(200), timeOf(1600)];
  assert.ok(long < 24 * short, `8 times the turns take ${(long / short).toFixed(1)} times the time`);
});

const PIECES = [
  '<|im_start|>',
  '<|im_end|>',
  '</s>',
  '<s>',
  '<|im_',
  'a',
  ' cat',
  ' ',
  '\n',
  '😀',
  '\ud83d',
  'é',
  '  ',
  '|>',
];
const tokenizers = ['tests/goldens/chat'].map((folder) => join(projectRoot, folder));
const stories = sharedPath('data/models/stories260k');
if (stories !== undefined) tokenizers.push(stories);

masks('has the same ids whether a tokenizer tells its added tokens or not', async () => {
  for (const folder of tokenizers) {
    const tokenizer = await loadTokenizer(folder);
    const encode = tokenizer.encode.bind(tokenizer);
    const parts = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 });
    fc.assert(
      fc.property(parts, fc.array(fc.nat(40), { maxLength: 6 }), (texts, cuts) => {
        const text = texts.join('');
        const edges = cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b);
        const spans = edges.flatMap((start, i) =>
          i % 2 === 0 && i + 1 < edges.length ? [{ start, end: edges[i + 1]! }] : [],
        );
        assert.equal(learnedIn(text, spans, tokenizer), learnedIn(text, spans, { encode }));
      }),
      { numRuns: 500 },
    );
  }
});

masks.run();

const values = suite('values of records');

values('numbers of calls are as they stand in the file', () => {
  const json =
    '{"messages":[{"role":"user","content":"go"},{"role":"assistant","content":null,"tool_calls":[{"function":' +
    '{"name":"f","arguments":{"id":12345678901234567890,"t":1.0,"e":1e5,"small":1e-7,"neg":-0.0,"9":[-0,2.50],"u":"é<b>&\'"}}}]}]}';
  const template =
    '{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}';
  assert.is(
    made(template).render(exampleOfJson(json, undefined) as Conversation, false),
    '{"id": 12345678901234567890, "t": 1.0, "e": 100000.0, "small": 1e-07, "neg": -0.0, "9": [0, 2.5], "u": "é<b>&\'"}',
  );
});

values('parts as content are what the template makes of them, as in Python', () => {
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }];
  assert.match(
    problemOf(() =>
      made("{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}").render({ messages }, false),
    ),
    /can only concatenate str \(not .*list/,
  );
  const reading = '{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}';
  assert.is(made(reading).render({ messages }, false), 'Hi');
  assert.is(
    made('{{ messages[0].content }}').render({ messages }, false),
    "[{'type': 'text', 'text': 'Hi'}]",
  );
});

values('fields of calls that are null are as if they were not there; content is None', () => {
  const messages = [{ role: 'assistant', content: null, tool_calls: null, other: null }];
  const template = "{{ 'tool_calls' in messages[0] }}{{ messages[0].content }}{{ messages[0].other }}";
  assert.is(made(template).render({ messages }, false), 'FalseNoneNone');
});

values('thoughts are read by any of their names', () => {
  const template =
    '{{ messages[0] | list | join(",") }}{{ messages[0].reasoning_content }}{{ messages[0].thinking }}';
  for (const name of ['reasoning_content', 'thinking', 'reasoning']) {
    const rendered = made(template).render({ messages: [turn('assistant', 'x', { [name]: 'Hm' })] }, false);
    assert.match(rendered, /^thinking,role,content,.*HmHm$/);
  }
});

values('templates with names are files of their own, too', () => {
  const model = temporaryFolder('named');
  writeFileSync(join(model, 'chat_template.jinja'), 'beside');
  mkdirSync(join(model, 'additional_chat_templates'));
  writeFileSync(join(model, 'additional_chat_templates/tool_use.jinja'), '{{ tools|length }} tools');
  const template = new ChatTemplate(readChatTemplate(model)!);
  assert.is(template.render({ messages: [] }, false), 'beside');
  assert.is(template.render({ messages: [], tools: [{}] }, false), '1 tools');
});

values.run();
