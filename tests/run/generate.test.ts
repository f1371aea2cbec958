import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate, loadModel, loadTokenizer, train } from 'rivulet';
import { lastValueFrom, take, toArray } from 'rxjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CHAT_TEMPLATE, makeFixture, STUDENT, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { runProgram } from './process.js';

/** The program and the library call `generate`: prompts in, text, ids and reasons out. */

const fixture = makeFixture('generate');
const PLACE = { device: 'wasm', threads: 1 } as const;
const FLAGS = ['--model', fixture.student, '--device', 'wasm', '--threads', '1'];
const run = (...flags: string[]) => runProgram('generate', [...FLAGS, ...flags], { cwd: fixture.folder });

const write = (name: string, ...lines: unknown[]): string => {
  const path = join(fixture.folder, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
};

const tests = suite('generate');

tests('gives text as it comes, whose parts are the whole, and one end for each prompt', async () => {
  const records = await lastValueFrom(
    generate({
      ...PLACE,
      model: fixture.student,
      prompt: 'the cat',
      maxTokens: 30,
      temperature: 1,
      seed: 4,
    }).pipe(toArray()),
  );
  const end = records.at(-1)!;
  assert.is(end.type, 'end');
  assert.is(records.filter(({ type }) => type === 'end').length, 1);
  const texts = records.flatMap((record) => (record.type === 'text' ? [record.text] : []));
  assert.is(texts.join(''), end.text);
  assert.ok(texts.length > 1);
  const tokenizer = await loadTokenizer(fixture.student);
  const { push, end: rest } = tokenizer.decoder({ skipSpecialTokens: true });
  if (end.type === 'end') assert.is(end.ids.map((id) => push(id)).join('') + rest(), end.text);
});

tests('ends when nobody listens any more', async () => {
  const records = await lastValueFrom(
    generate({ ...PLACE, model: fixture.student, prompt: 'the', maxTokens: 100 }).pipe(take(2), toArray()),
  );
  assert.is(records.length, 2);
});

tests('prints a line of JSON a prompt, in their order, whatever is at once', async () => {
  const prompts = [
    { prompt: 'the cat sat on' },
    { ids: [1, 300, 301, 302] },
    { prompt: 'a' },
    { prompt: 'red house' },
  ];
  const data = write('prompts.jsonl', ...prompts, '');
  const flags = ['--data', data, '--max-tokens', '9', '--json'];
  const outputs = [];
  for (const batch of ['1', '3', '9']) {
    const { code, stdout, stderr } = await run(...flags, '--batch', batch);
    assert.is(code, 0, stderr);
    outputs.push(stdout);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(
      lines.map(({ prompt }) => prompt),
      prompts.map(({ prompt, ids }) => prompt ?? ids),
    );
    for (const line of lines) {
      assert.equal(Object.keys(line), ['prompt', 'ids', 'text', 'finish']);
      assert.ok(line.ids.length <= 9 && (line.ids.length === 9) === (line.finish === 'length'));
    }
  }
  assert.is(outputs[1], outputs[0]);
  assert.is(outputs[2], outputs[0]);
});

tests('what is drawn depends on the seed and the place of a prompt, not on what is beside it', async () => {
  const data = write('same.jsonl', ...Array.from({ length: 5 }, () => ({ prompt: 'the' })));
  const flags = ['--data', data, '--max-tokens', '12', '--temperature', '1', '--top-p', '0.95', '--json'];
  const texts = async (...more: string[]) =>
    (await run(...flags, ...more)).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).text);
  const drawn = await texts('--seed', '5');
  assert.equal(await texts('--seed', '5', '--batch', '2'), drawn);
  assert.ok(new Set(drawn).size > 1);
  assert.not.equal(await texts('--seed', '6'), drawn);
});

tests('stops at a text, which is no part of it, and at end-of-text tokens', async () => {
  const { stdout } = await run('--prompt', 'the cat', '--max-tokens', '40', '--json');
  const whole = JSON.parse(stdout);
  const stop = whole.text.slice(10, 13);
  const cut = JSON.parse(
    (await run('--prompt', 'the cat', '--max-tokens', '40', '--stop', stop, '--json')).stdout,
  );
  assert.is(cut.finish, 'stop');
  assert.is(cut.text, whole.text.slice(0, whole.text.indexOf(stop)));
  assert.equal(cut.ids, whole.ids.slice(0, cut.ids.length));
  // A model that says its third greedy token ends a text ends there.
  const ids: number[] = whole.ids;
  const other = writeModel(join(fixture.folder, 'other'), STUDENT, 3);
  writeFileSync(join(other, 'generation_config.json'), JSON.stringify({ eos_token_id: [ids[2]] }));
  const model = await loadModel(other, { ...PLACE, sequence: 1, context: 64 });
  const [completion] = await model.complete(['the cat'], { maxTokens: 40 });
  await model.close();
  const first = ids.indexOf(ids[2]!);
  assert.equal(completion!.ids, ids.slice(0, first + 1));
  assert.is(completion!.finish, 'stop');
});

tests('goes on from an adapter as evaluate reads it', async () => {
  const out = join(fixture.folder, 'run');
  const options = { student: fixture.student, teacher: 'none', out, ...PLACE } as const;
  const length = { sequence: 16, batch: 4, steps: 12, evalFraction: 0 };
  await train({ ...options, ...length, lr: 0.05, rank: 4, data: [fixture.text] }).finished;
  const bare = await run('--prompt', 'the cat', '--max-tokens', '16');
  const adapted = await run('--prompt', 'the cat', '--max-tokens', '16', '--adapter', join(out, 'adapter'));
  assert.is(adapted.code, 0, adapted.stderr);
  assert.not.equal(adapted.stdout, bare.stdout);
});

tests('talks: a line is a turn, with the template of the model or another one', async () => {
  const template = write('template.jinja', CHAT_TEMPLATE);
  const flags = [...FLAGS, '--chat', '--chat-template', template, '--max-tokens', '5'];
  const input = 'the cat\n\nthe dog\n';
  const { code, stdout, stderr } = await runProgram('generate', flags, { cwd: fixture.folder, input });
  assert.is(code, 0, stderr);
  const model = await loadModel(fixture.student, {
    ...PLACE,
    sequence: 1,
    context: 128,
    chatTemplate: template,
  });
  const messages: { role: string; content: string }[] = [];
  const said: string[] = [];
  for (const content of ['the cat', 'the dog']) {
    messages.push({ role: 'user', content });
    const [completion] = await model.complete([{ messages }], { maxTokens: 5 });
    const { text } = completion!;
    messages.push({ role: 'assistant', content: text });
    said.push(text);
  }
  await model.close();
  assert.is(stdout, said.map((text) => `${text}\n`).join(''));
});

tests('talks with any seed, and says what to do where a conversation has grown too long', async () => {
  const template = write('seeded.jinja', CHAT_TEMPLATE);
  const flags = ['--chat', '--chat-template', template, '--max-tokens', '5', '--temperature', '1'];
  const talk = (...more: string[]) =>
    runProgram('generate', [...FLAGS, ...flags, ...more], {
      cwd: fixture.folder,
      input: 'the cat\n'.repeat(9),
    });
  const { code, stderr } = await talk('--seed', String(Number.MAX_SAFE_INTEGER), '--context', '64');
  assert.is(code, 2);
  assert.match(stderr, /^error: prompt: .* shorten it, lower --max-tokens, or raise --context\n$/);
});

const refusals: readonly (readonly [what: string, flags: readonly string[], message: RegExp])[] = [
  ['nothing to go on with', [], /expected something to go on with, found none; give --prompt TEXT/],
  ['an empty file', ['--data', write('empty.jsonl', '')], /expected a prompt on each line, found none/],
  ['a missing file', ['--data', 'missing.jsonl'], /missing.jsonl: expected a .jsonl file of prompts.*ENOENT/],
  ['a broken line', ['--data', write('broken.jsonl', { prompt: 'a' }, '{')], /broken.jsonl:2: expected JSON/],
  [
    'a line of something else',
    ['--data', write('else.jsonl', { text: 'a' })],
    /else.jsonl:1: expected \{"prompt"/,
  ],
  [
    'an id that is none',
    ['--data', write('ids.jsonl', { ids: [1, 999] })],
    /ids.jsonl:1: expected ids from 0 to 367, the rows of the model's embedding, found 999 at place 1/,
  ],
  [
    'an id that is none, after empty lines',
    ['--data', write('lines.jsonl', '', { ids: [1] }, ' ', { ids: [999] })],
    /lines.jsonl:4: expected ids from 0 to 367/,
  ],
  [
    'no ids',
    ['--data', write('none.jsonl', { ids: [] })],
    /none.jsonl:1: expected a prompt of at least one token/,
  ],
  [
    'turns without a template',
    ['--data', write('turns.jsonl', { messages: [{ role: 'user', content: 'a' }] })],
    /turns.jsonl:1: expected a model with a chat template/,
  ],
  [
    'too many tokens',
    ['--prompt', 'a', '--max-tokens', '128'],
    /--prompt: expected at most 128 tokens with what follows/,
  ],
  ['--top-p 0', ['--prompt', 'a', '--top-p', '0'], /--top-p: expected above 0, found 0/],
  [
    '--temperature -1',
    ['--prompt', 'a', '--temperature', '-1'],
    /--temperature: expected 0 or more, found -1/,
  ],
  ['--stop of nothing', ['--prompt', 'a', '--stop', ''], /--stop: expected some text/],
  ['--system alone', ['--prompt', 'a', '--system', 'b'], /--system: expected --chat beside it/],
  [
    '--chat with a prompt',
    ['--prompt', 'a', '--chat'],
    /--chat: expected it without any of --prompt, --data, --batch, --json, found --prompt/,
  ],
  ['--chat with a batch', ['--chat', '--batch', '8'], /--chat: expected it .* found --batch; leave one out/],
  ['--chat without a template', ['--chat'], /--chat: expected a model with a chat template/],
  [
    '--chat of what is not drawn',
    ['--chat', '--seed', '3'],
    /--seed: expected a --temperature above 0 with it/,
  ],
  [
    '--top-k of the likeliest',
    ['--prompt', 'a', '--top-k', '5'],
    /--top-k: expected a --temperature above 0/,
  ],
];
for (const [what, flags, message] of refusals) {
  tests(`refuses ${what} in one line`, async () => {
    const before = readdirSync(fixture.folder);
    const { code, stdout, stderr } = await run(...flags);
    assert.is(code, 2);
    assert.match(stderr, message);
    assert.is(stderr.trim().split('\n').length, 1);
    assert.is(stdout, '');
    assert.equal(readdirSync(fixture.folder), before);
  });
}

tests('takes as many prompts as a file has', async () => {
  const data = write('many.jsonl', '{"ids": [1]}\n'.repeat(150_000));
  let found = 0;
  const onPrompts = (prompts: readonly unknown[]) => {
    found = prompts.length;
    throw new Error('enough');
  };
  const records = generate({ ...PLACE, model: fixture.student, data, maxTokens: 1 }, { onPrompts });
  await lastValueFrom(records).catch((error: Error) => assert.is(error.message, 'enough'));
  assert.is(found, 150_000);
});

tests('refuses wrong options in code', async () => {
  const call = (options: object) => () => lastValueFrom(generate({ model: fixture.student, ...options }));
  assert.match(await inputErrorOf(call({ prompt: 'a', maxTokens: 0 })), /--max-tokens: expected at least 1/);
  assert.match(await inputErrorOf(call({ prompt: 'a', maxToken: 5 })), /did you mean --max-tokens/);
  for (const [idle, flag] of [
    [{ topP: 0.5 }, '--top-p'],
    [{ minP: 0.5, temperature: 0 }, '--min-p'],
    [{ seed: 7 }, '--seed'],
  ] as const) {
    const message = `${flag}: expected a --temperature above 0 with it, found 0, which draws nothing`;
    assert.match(await inputErrorOf(call({ prompt: 'a', ...idle })), message);
  }
  const model = await loadModel(fixture.student, { ...PLACE, sequence: 1, context: 8 });
  assert.match(await inputErrorOf(() => model.complete(['a'], { topK: 3 })), /--top-k: expected a --temp/);
  // What says what holds anyway is no slip.
  assert.is((await model.complete(['a'], { maxTokens: 1, topK: 0, topP: 1, seed: 0 })).length, 1);
  await model.close();
});

tests.run();
