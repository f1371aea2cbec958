import type { Conversation } from '#src/data/examples.js';

/** Conversations of many kinds, for templates of any model. */

const turn = (role: string, content: unknown, more: object = {}) => ({ role, content, ...more });
const user = (content: unknown) => turn('user', content);
const assistant = (content: unknown, more?: object) => turn('assistant', content, more);
const system = (content: unknown) => turn('system', content);
const text = (...texts: string[]) => texts.map((part) => ({ type: 'text', text: part }));

const parameters = {
  type: 'object',
  properties: {
    city: { type: 'string', description: 'The <city> & "country"', enum: ['Zürich', '東京'] },
    days: { type: 'integer', default: 3 },
    exact: { type: ['number', 'null'], minimum: 0.5 },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['city'],
};
const tools = [
  { type: 'function', function: { name: 'weather', description: "Today's weather.", parameters } },
  {
    type: 'function',
    function: {
      name: 'now',
      description: 'The time.',
      parameters: { type: 'object', properties: {} },
      return: { type: 'string' },
    },
  },
];
const call = (name: string, args: object, id = 'call00001') => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});
const weather = call('weather', { city: 'Zürich', days: 2, exact: 1.5, tags: ['a', 'b'], deep: { x: null } });
const result = (content: unknown) => turn('tool', content, { name: 'weather', tool_call_id: 'call00001' });

const talk = [user('Hi, who are you? '), assistant('I am a cat.\nMeow 😀!')];
const twice = [...talk, user('And 日本語?\n\n'), assistant('  No. ')];
const thought = '<think>\nHm, <b>let</b> me think.\n</think>\n\nA cat.';

export const CONVERSATIONS: Readonly<Record<string, Conversation>> = {
  one: { messages: talk },
  two: { messages: twice },
  three: { messages: [...twice, user('ok'), assistant('Good <|im_end|> bye')] },
  question: { messages: [...talk, user('And?')] },
  system: { messages: [system('Be brief.'), ...twice] },
  'system alone': { messages: [system('Be brief.')] },
  'system later': { messages: [...talk, system('Be long.'), user('x'), assistant('y')] },
  empty: { messages: [user(''), assistant('')] },
  thinking: { messages: [user('q'), assistant(thought), user('r'), assistant(thought)] },
  'half thinking': { messages: [user('q'), assistant('Hm\n</think>\nA'), user('r'), assistant('<think>B')] },
  reasoning: {
    messages: [
      user('q'),
      assistant('A', { reasoning_content: 'Hm.\n' }),
      user('r'),
      assistant('B', { reasoning_content: '\nOh.' }),
    ],
  },
  'reasoning by another name': { messages: [user('q'), assistant('A', { thinking: 'Hm.' })] },
  'tools unused': { messages: talk, tools },
  tools: {
    messages: [
      user('Weather?'),
      assistant('', { tool_calls: [weather] }),
      result('rain'),
      assistant('It rains.'),
    ],
    tools,
  },
  'tools with null': {
    messages: [
      system('s'),
      user('Weather?'),
      assistant(null, { tool_calls: [weather] }),
      result('{"sky": "rain"}'),
      assistant('It rains.', { tool_calls: null }),
      user('Thanks'),
      assistant('!'),
    ],
    tools,
  },
  'two calls': {
    messages: [
      user('Weather and time?'),
      assistant('Let me see.', { tool_calls: [weather, call('now', {}, 'call00002')] }),
      result('rain'),
      turn('tool', '12:00', { name: 'now', tool_call_id: 'call00002' }),
      assistant('Rain at noon.'),
    ],
    tools,
  },
  'calls as JSON': {
    messages: [
      user('x'),
      assistant(null, {
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"a": 1}' } }],
      }),
    ],
    tools,
  },
  parts: { messages: [user(text('Hi', ' you')), assistant(text('Hello'))] },
  'parts with an image': { messages: [user([{ type: 'image' }, ...text('What?')]), assistant('A cat.')] },
  'null content': { messages: [user('x'), assistant(null)] },
  'user twice': { messages: [user('a'), user('b'), assistant('c')] },
  'assistant first': { messages: [assistant('Hi'), user('Hi'), assistant('Yes')] },
  'assistant twice': { messages: [user('a'), assistant('b'), assistant('c')] },
  'another role': { messages: [user('a'), turn('critic', 'b'), assistant('c')] },
  developer: { messages: [turn('developer', 'Be brief.'), ...talk] },
  unicode: { messages: [user('\u2028é\u00a0😀\u200b'), assistant('  \u3000x\u3000\t')] },
};
