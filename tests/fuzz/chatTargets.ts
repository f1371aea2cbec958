import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readChatTemplate } from '#src/data/chat/source.js';
import { BadDocument } from '#src/data/documents.js';
import { createEncode, encodedOrBad } from '#src/data/encoding.js';
import type { Conversation } from '#src/data/examples.js';
import { projectRoot } from '../support.js';
import { mutateBytes, mutateJson } from './mutations.js';
import type { Target } from './targets.js';

/** Chat templates, and what reads and renders them. */

const CONVERSATION: Conversation = {
  messages: [
    { role: 'user', content: 'the cat' },
    { role: 'assistant', content: 'sat 😀' },
    { role: 'user', content: 'on' },
    { role: 'assistant', content: null, tool_calls: [{ function: { name: 'f', arguments: { a: [1] } } }] },
  ],
  tools: [{ type: 'function', function: { name: 'f' } }],
};

const characters = {
  before: new Uint32Array(0),
  encode: (text: string) => Uint32Array.from(Buffer.from(text)),
};

function load(folder: string): void {
  const chatTemplate = readChatTemplate(folder);
  const encode = createEncode(characters, { eos: false, chatTemplate });
  const encoded = encodedOrBad(encode, { id: folder, example: CONVERSATION });
  if (encoded instanceof BadDocument) throw encoded;
}

/** @param root a folder of its own */
export function makeChatTargets(root: string): Target[] {
  const template = readFileSync(join(projectRoot, 'tests/goldens/chat/qwen2.jinja'), 'utf8');
  const [beside, inside] = [join(root, 'beside'), join(root, 'inside')];
  for (const folder of [beside, inside]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(beside, 'chat_template.jinja'), template);
  const named = ['default', 'tool_use'].map((name) => ({ name, template }));
  const config = { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: named };
  writeFileSync(join(inside, 'tokenizer_config.json'), JSON.stringify(config));
  return [
    { name: 'chat template', folder: beside, files: { 'chat_template.jinja': [mutateBytes] }, load },
    {
      name: 'chat config',
      folder: inside,
      files: { 'tokenizer_config.json': [mutateJson, mutateBytes] },
      load,
    },
  ];
}
