import { parquetWriteBuffer } from 'hyparquet-writer';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { conversationOf } from '#src/data/documents/conversations.js';
import { ExactNumber } from '#src/data/documents/exactJson.js';
import { Problem } from '#src/data/documents/problems.js';
import { exampleOfJson } from '#src/data/documents/records.js';
import { BadDocument, type Document } from '#src/data/documents.js';
import type { Conversation } from '#src/data/examples.js';
import { Library, open, problemOf, textsOf } from './support.js';

/** What a record holds, by its fields. */

const [user, assistant] = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Meow' },
];
const tool = { type: 'function', function: { name: 'f' } };
const call = { role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: {} } }] };
const parts = { role: 'user', content: [{ type: 'text', text: 'Hi' }] };

const detected = suite('a record holds');
const holds = (what: string, record: object, example: unknown, column?: string) =>
  detected(what, () => assert.equal(exampleOfJson(JSON.stringify(record), column), example));

holds('text', { text: 'a', other: 'b' }, 'a');
holds(
  'messages, whatever else there is',
  { text: 'a', prompt: 'b', messages: [user, assistant] },
  { messages: [user, assistant] },
);
holds(
  'messages and tools',
  { messages: [user, call], tools: [tool] },
  { messages: [user, call], tools: [tool] },
);
holds(
  'tools as JSON in a text',
  { messages: [user], tools: JSON.stringify([tool]) },
  { messages: [user], tools: [tool] },
);
holds('no tools', { messages: [parts], tools: [] }, { messages: [parts] });
holds('null for tools', { messages: [parts], tools: null }, { messages: [parts] });
holds('prompt and completion', { prompt: 'a', completion: 'b', text: 'c' }, { prompt: 'a', completion: 'b' });
holds(
  'a prompt and a completion of messages',
  { prompt: [user], completion: [assistant] },
  { messages: [user, assistant], given: 1 },
);
holds('text beside a prompt alone', { prompt: 'a', text: 'c' }, 'c');
holds('what --text-column says: text', { messages: [user], story: 'a' }, 'a', 'story');
holds(
  'what --text-column says: messages',
  { text: 'x', data: { turns: [user] } },
  { messages: [user] },
  'data.turns',
);

holds(
  'messages as JSON in a text',
  { messages: JSON.stringify([user, assistant]) },
  { messages: [user, assistant] },
);
holds(
  'a prompt of messages and what is said to it',
  { prompt: [user], completion: 'Meow' },
  { messages: [user, assistant], given: 1 },
);
const spoken = (from: string, value: unknown) => ({ from, value });
holds(
  'conversations of turns with from and value',
  { conversations: [spoken('human', 'Hi'), { ...spoken('gpt', 'Meow'), weight: 0 }] },
  { messages: [user, { ...assistant, weight: 0 }] },
);
holds(
  'those beside a system prompt and tools',
  { system: 'Be a cat.', conversations: [spoken('human', 'Hi')], tools: JSON.stringify([tool]) },
  { messages: [{ role: 'system', content: 'Be a cat.' }, user], tools: [tool] },
);
holds(
  'calls of functions in them',
  {
    conversations: [
      spoken('system', 's'),
      spoken('function_call', '{"name":"f","arguments":{}}'),
      spoken('observation', 'rain'),
    ],
  },
  {
    messages: [
      { role: 'system', content: 's' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ type: 'function', function: { name: 'f', arguments: {} } }],
      },
      { role: 'tool', content: 'rain' },
    ],
  },
);
holds('conversations of turns with role and content', { conversations: [user] }, { messages: [user] });
holds(
  'turns with from and value, of another column',
  { x: [spoken('user', 'Hi')] },
  { messages: [user] },
  'x',
);

const beside = { system: 'Be a cat.', tools: JSON.stringify([tool]) };
const withAll = {
  messages: [{ role: 'system', content: 'Be a cat.' }, user, assistant],
  tools: [tool],
};
holds(
  'what --text-column says: turns with from and value, with what is beside them',
  { ...beside, conversations: [spoken('human', 'Hi'), spoken('gpt', 'Meow')] },
  withAll,
  'conversations',
);
holds(
  'such turns as JSON in a text',
  { ...beside, conversations: JSON.stringify([spoken('human', 'Hi'), spoken('gpt', 'Meow')]) },
  withAll,
);
holds(
  'such turns in a column of any name',
  { ...beside, talk: JSON.stringify([spoken('human', 'Hi'), spoken('gpt', 'Meow')]) },
  withAll,
  'talk',
);
holds('no system prompt beside messages', { ...beside, tools: '', messages: [user] }, { messages: [user] });
for (const column of ['messages', 'data.turns']) {
  const json = JSON.stringify([user, { ...call, id: 1 }]).replace('"id":1', '"id":1.0');
  detected(`what --text-column ${column} says: messages as JSON in a text, of which nothing is lost`, () => {
    const record = column === 'messages' ? { messages: json } : { data: { turns: json } };
    const found = exampleOfJson(JSON.stringify(record), column) as Conversation;
    assert.equal(found.messages[1]!.id, new ExactNumber('1.0'));
  });
}
for (const text of ['[{"role":"user"}]', '[{"name":"f"}]', '[1]', '[{"role":', '[INST] Hi', '[]', '{}']) {
  holds(`other text than turns: ${text}`, { story: text }, text, 'story');
}
holds(
  'a text that may be turns, which nobody says',
  { text: '[{"role":"user","content":"x"}]' },
  '[{"role":"user","content":"x"}]',
);

detected.run();

const refused = suite('a record is refused');
const isRefused = (record: object, message: RegExp) =>
  refused(String(message), () => {
    assert.throws(
      () => exampleOfJson(JSON.stringify(record), undefined),
      (error: unknown) => error instanceof Problem && message.test(error.message),
    );
  });

isRefused({ messages: [] }, /^expected messages, found an empty list; delete the record$/);
isRefused(
  { messages: [user, 'x'] },
  /^turn 2: expected an object with role and content, found "x"; mend the record$/,
);
isRefused({ messages: [{ content: 'x' }] }, /^turn 1: expected a text as role, found nothing;/);
isRefused(
  { messages: [user, { role: 'assistant' }] },
  /^turn 2: expected content or tool_calls, found neither of them;/,
);
isRefused(
  { messages: [{ role: 'user', content: 5 }] },
  /^turn 1: expected a text or a list of parts with a type as content, found 5;/,
);
isRefused(
  { messages: [{ role: 'user', content: ['x'] }] },
  /^turn 1: expected a text or a list of parts .*, found \["x"\];/,
);
isRefused(
  { messages: [user], tools: 'x' },
  /^expected a list of functions in tools, found "x"; mend the record$/,
);
isRefused(
  { a: 1, b: 2 },
  /^expected messages, prompt and completion, or text, found none \(columns: a, b\); set --text-column$/,
);

isRefused(
  { conversations: [spoken('narrator', 'x')] },
  /^turn 1: expected from to be human, gpt, .*, found "narrator"; give the turn a role and content in its place$/,
);
isRefused({ conversations: [spoken('function_call', 'x')] }, /^turn 1: expected a function_call as JSON/);
isRefused(
  { messages: 'Hi' },
  /^expected messages in a list, or as JSON in a text, found "Hi"; mend the record, or set/,
);
isRefused({ messages: '', conversations: null }, /^expected messages in a list, .*, found "";/);
isRefused({ messages: '[{"role":' }, /^expected JSON, found .*; mend or delete the record$/);
isRefused(
  { prompt: 'x', completion: [assistant] },
  /^expected a prompt and a completion that are texts, or a prompt of messages, found "x" and .*; write both as lists/,
);
isRefused({ prompt: [user], completion: { role: 'assistant' } }, /^expected a prompt and a completion/);
isRefused({ messages: [{ ...assistant, weight: 0.5 }] }, /^turn 1: expected 0 or 1 as weight, found 0.5;/);
isRefused({ messages: [{ ...assistant, weight: '0' }] }, /^turn 1: expected 0 or 1 as weight, found "0";/);
isRefused({ messages: [{ ...assistant, train: 0 }] }, /^turn 1: expected true or false as train, found 0;/);

const nested = (levels: number): unknown => (levels === 0 ? 'x' : [nested(levels - 1)]);
refused('a value nested in thousands of others is refused, and does not exhaust the stack', () => {
  assert.throws(
    () => conversationOf([{ role: 'user', content: 'x', meta: nested(3000) }]),
    /^turn 1: expected fewer than 100 levels of values in one another/,
  );
});

refused('nor do numbers that have to be kept, in messages as JSON', () => {
  const messages = `[{"role":"user","content":"x","meta":${'['.repeat(20_000)}1.0${']'.repeat(20_000)}}]`;
  assert.throws(
    () => exampleOfJson(JSON.stringify({ messages }), undefined),
    /^turn 1: expected fewer than 100 levels of values in one another/,
  );
});

refused.run();

const library = new Library('conversations');
const files = suite('a file of conversations');

files('names the line of what is wrong with a turn', async () => {
  const path = library.put('x.jsonl', `${JSON.stringify({ messages: [user] })}\n{"messages":[{"role":3}]}\n`);
  const source = await open(path, { onBad: 'skip' });
  const bad: string[] = [];
  for await (const item of source.read()) if (item instanceof BadDocument) bad.push(item.message);
  assert.is(bad.length, 1);
  assert.match(bad[0]!, /x\.jsonl: line 2, byte \d+: turn 1: expected a text as role, found 3; mend/);
});

files('may be a .csv file of prompts and completions', async () => {
  const path = library.put('x.csv', 'id,completion,prompt\n1," b","a, or"\n');
  const examples = async (options: object) => {
    const found: unknown[] = [];
    for await (const item of (await open(path, options)).read())
      if ('example' in item) found.push(item.example);
    return found;
  };
  assert.equal(await examples({}), [{ prompt: 'a, or', completion: ' b' }]);
  assert.equal(await examples({ textColumn: 'completion' }), [' b']);
});

/** Texts by column, in a file of each kind. */
function written(records: readonly Readonly<Record<string, string>>[]): string[] {
  const names = Object.keys(records[0]!);
  const rows = [names, ...records.map((record) => names.map((name) => record[name]!))];
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const columnData = names.map((name) => ({
    name,
    data: records.map((record) => record[name]!),
    type: 'STRING' as const,
  }));
  return [
    library.put('same.jsonl', records.map((record) => `${JSON.stringify(record)}\n`).join('')),
    library.put('same.json', JSON.stringify(records)),
    library.put('same.csv', rows.map((fields) => `${fields.map(quoted).join()}\n`).join('')),
    library.put('same.tsv', rows.map((fields) => `${fields.map(quoted).join('\t')}\n`).join('')),
    library.put('same.parquet', Buffer.from(parquetWriteBuffer({ columnData }))),
  ];
}

files('holds the same in every format', async () => {
  const [messages, text] = [JSON.stringify([user, assistant]), 'a text'];
  const conversations = JSON.stringify([spoken('human', 'Hi'), spoken('gpt', 'Meow')]);
  const plain = { messages: [user, assistant] };
  const pair = { prompt: 'a', completion: 'b' };
  const cases: [record: Record<string, string>, column: string | undefined, expected: unknown][] = [
    [{ messages }, undefined, plain],
    [{ messages }, 'messages', plain],
    [{ text, messages }, undefined, plain],
    [{ text, messages }, 'text', text],
    [{ text: messages }, undefined, messages],
    [{ text: messages }, 'text', plain],
    [{ ...pair, messages, tools: beside.tools }, undefined, { ...plain, tools: [tool] }],
    [{ ...pair, messages, tools: beside.tools }, 'messages', { ...plain, tools: [tool] }],
    [{ ...pair, text }, undefined, pair],
    [{ prompt: 'a', text }, undefined, text],
    [{ messages: 'none', text }, undefined, text],
    [{ messages: 'none', text }, 'messages', 'none'],
    [{ ...beside, conversations, text }, undefined, withAll],
    [{ ...beside, conversations, text }, 'conversations', withAll],
    [{ ...beside, talk: conversations }, 'talk', withAll],
    [{ ...beside, talk: text }, 'talk', text],
    [{ ...beside, talk: text }, 'system', beside.system],
  ];
  for (const [record, textColumn, expected] of cases) {
    for (const path of written([record, record])) {
      const source = await open(path, { textColumn });
      const found: Document[] = [];
      for await (const item of source.read()) if (!(item instanceof BadDocument)) found.push(item);
      const examples = found.map(({ example }) => example);
      assert.equal(examples, [expected, expected], `${path}: ${JSON.stringify(record)}, ${textColumn}`);
      for await (const item of source.read(found[1]!.place)) assert.equal(item, found[1]);
    }
  }
});

files('may have tools of other types in Parquet, as long as there are no turns', async () => {
  const text = (name: string, value: string) => ({ name, data: [value], type: 'STRING' as const });
  const columnData = [
    text('messages', JSON.stringify([user])),
    text('story', 'a text'),
    { name: 'tools', data: [1], type: 'INT32' as const },
  ];
  const path = library.put('tools.parquet', Buffer.from(parquetWriteBuffer({ columnData })));
  assert.equal(await textsOf(path, { textColumn: 'story' }), ['a text']);
  for (const textColumn of [undefined, 'messages']) {
    assert.match(
      await problemOf(path, { textColumn }),
      /expected texts in tools, found another type \(INT32\)/,
    );
  }
});

files.run();
