import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { assistantSpans } from '#src/data/chat/assistantSpans.js';
import { TemplateError } from '#src/data/chat/jinja/errors.js';
import { fromJson } from '#src/data/chat/jinja/fromJson.js';
import { Template } from '#src/data/chat/jinja/template.js';
import type { Span } from '#src/data/chat/span.js';
import { ChatTemplate } from '#src/data/chat/template.js';
import { parseExactly } from '#src/data/documents/exactJson.js';
import { Problem } from '#src/data/documents/problems.js';
import type { Conversation } from '#src/data/examples.js';
import { CONVERSATIONS } from './conversations.js';
import { prepareEnvironment, python } from './environment.js';

/**
 * Chat templates of public models, in a folder that RIVULET_TEMPLATES names (`*.jinja`, in folders or not), against
 * transformers itself. Of two files NAME.jinja and NAME_training.jinja the second has generation blocks: where both give
 * the same text, what is learned with the first has to be what is in them.
 */

const folder = process.env.RIVULET_TEMPLATES;
const test = suite('chat templates of public models');
if (folder === undefined) console.log('skipped: RIVULET_TEMPLATES names no folder of chat templates');
const isReady = prepareEnvironment();
const withPython = isReady ? test : test.skip;
const withTemplates = folder !== undefined && isReady ? test : test.skip;

interface Answer {
  readonly text: string;
  readonly prompted: string;
  readonly generations: readonly (readonly [number, number])[];
}

const specialTokens = { bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', unk_token: '<unk>' };

async function pythonAnswers(): Promise<Record<string, Record<string, Answer | null>>> {
  const scratch = mkdtempSync(join(tmpdir(), 'rivulet-templates-'));
  const [conversations, out] = [join(scratch, 'conversations.json'), join(scratch, 'out.json')];
  writeFileSync(conversations, JSON.stringify(CONVERSATIONS));
  await python('render_templates.py', folder!, conversations, out);
  return JSON.parse(readFileSync(out, 'utf8'));
}

const templateAt = (name: string): ChatTemplate => {
  const path = join(folder!, name);
  return new ChatTemplate({ path, templates: { default: readFileSync(path, 'utf8') }, specialTokens });
};

function orReason<T>(act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    if (error instanceof Problem || error instanceof InputError) return error.message;
    throw error;
  }
}

/** A difference in words; undefined where both give the same texts, or both refuse. */
function difference(name: string, conversation: Conversation, expected: Answer | null): string | undefined {
  let reason = 'nothing was refused';
  const render = (prompt: boolean): string | null => {
    const outcome = orReason(() => ({ text: templateAt(name).render(conversation, prompt) }));
    if (typeof outcome !== 'string') return outcome.text;
    reason = outcome;
    return null;
  };
  const [text, prompted] = [render(false), render(true)];
  if (expected === null) return text === null || prompted === null ? undefined : 'Python refuses it';
  if (text === expected.text && prompted === expected.prompted) return undefined;
  if (text === null || prompted === null) return reason;
  return `${JSON.stringify(text)} is not ${JSON.stringify(expected.text)}`;
}

const MOST_REFUSED = 12;

withPython('make the same of random expressions', async () => {
  const out = join(mkdtempSync(join(tmpdir(), 'rivulet-jinja-')), 'expected.json');
  const seed = String(Date.now() % 1_000_000);
  await python('../goldens/make_jinja.py', out, '--random', '1500', '--seed', seed);
  const json = readFileSync(out, 'utf8');
  const { data, cases } = parseExactly(json, JSON.parse(json)) as {
    readonly data: object;
    readonly cases: readonly [string, string | null][];
  };
  const variables = Object.entries(data).map(([name, value]) => [name, fromJson(value)] as const);
  const nothing = [
    ['tools', null],
    ['documents', null],
    ['add_generation_prompt', false],
  ] as const;
  let refused = 0;
  for (const [template, expected] of cases) {
    let text: string | null = null;
    try {
      text = new Template(template).render([...variables, ...nothing]);
    } catch (error) {
      assert.instance(error, TemplateError, template);
    }
    // What has no text here may have one in Python: what is not supported, and slices of constants that have none.
    if (text === null && expected !== null) refused++;
    else assert.is(text, expected, `seed ${seed}: ${template}`);
  }
  assert.ok(refused <= MOST_REFUSED, `${refused} refused`);
});

const answers = folder !== undefined && withTemplates === test ? await pythonAnswers() : {};

for (const [name, byConversation] of Object.entries(answers)) {
  withTemplates(`the texts of ${name}`, () => {
    const differences = Object.entries(byConversation).flatMap(([which, expected]) => {
      const found = difference(name, CONVERSATIONS[which]!, expected);
      return found === undefined ? [] : [`${which}: ${found}`];
    });
    assert.equal(differences, []);
  });
}

/** What lies in spans; those that touch are one. */
function covered(text: string, spans: readonly Span[]): string {
  const parts: Span[] = [];
  for (const span of spans.filter(({ start, end }) => start < end)) {
    const last = parts.at(-1);
    if (last?.end === span.start) parts[parts.length - 1] = { start: last.start, end: span.end };
    else parts.push(span);
  }
  return parts.map(({ start, end }) => text.slice(start, end)).join('|');
}
const spansOf = (text: string, generations: Answer['generations']): Span[] => {
  const unit = (count: number) => [...text].slice(0, count).join('').length;
  return generations.map(([start, end]) => ({ start: unit(start), end: unit(end) }));
};

/** Templates whose blocks hold the beginning of the turn as well, or a word of the next turn. */
const OTHER_BLOCKS = /(deepseekv3|gptoss|qwen2_5|glm4moe|diffusion_gemma)_training/;

const learnable = Object.entries(CONVERSATIONS).filter(([, { messages }]) =>
  messages.some(({ role }) => role === 'assistant'),
);

for (const name of Object.keys(answers).filter((file) => file.endsWith('_training.jinja'))) {
  const plain = name.replace('_training.jinja', '.jinja');
  withTemplates(`what is learned of ${name}, with generation blocks and without`, () => {
    const differences: string[] = [];
    let same = 0;
    for (const [which, conversation] of learnable) {
      const [expected, other] = [answers[name]![which], answers[plain]?.[which]];
      if (!expected) continue;
      const { text, generations } = templateAt(name).renderTurns(conversation);
      const blocks = covered(text, spansOf(text, expected.generations));
      if (covered(text, generations!) !== blocks) differences.push(`${which}: blocks`);
      if (other?.text !== expected.text) continue;
      same++;
      const learned = orReason(() => covered(text, assistantSpans(templateAt(plain), conversation).spans));
      if (learned !== blocks)
        differences.push(`${which}: ${JSON.stringify(learned)} is not ${JSON.stringify(blocks)}`);
    }
    console.log(`${name}: ${same} conversations with the same text`);
    if (!OTHER_BLOCKS.test(name)) assert.equal(differences, []);
    else for (const found of differences) console.log(`${name}: blocks of another kind: ${found}`);
  });
}

test.run();
