import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEncode } from '#src/data/encoding.js';
import type { Example } from '#src/data/examples.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { answerOf, heldOutAnswers, planHeldOut } from '#src/evaluation/tasks/heldOutAnswers.js';
import { metricsOf } from '#src/evaluation/tasks/planMetrics.js';
import { received, sent } from '#src/evaluation/tasks/sentPlan.js';
import { CHAT_TEMPLATE, makeFixture } from '../../fixtures.js';

/** What of held-out examples is asked, and what the answer is. */

const tokenizer = await loadTokenizer(makeFixture('held-out-answers').student);
const chatTemplate = { path: 'x.jinja', templates: { default: CHAT_TEMPLATE }, specialTokens: {} };
const encode = createEncode(tokenizer, { eos: false, chatTemplate });
const found = (example: Example) => answerOf(encode(example), tokenizer);
const decoded = (ids: Uint32Array | undefined) => tokenizer.decode(ids!);

const test = suite('held-out answers');

test('of a prompt its completion, with EOS to end it', () => {
  const { prompt, answer, target } = found({ prompt: 'the cat', completion: ' sat on a mat' })!;
  assert.equal(
    [decoded(prompt), decoded(answer), target],
    ['<s> the cat', 'sat on a mat</s>', 'sat on a mat'],
  );
});

test('of a conversation what the assistant says last', () => {
  const turn = (role: string, content: string) => ({ role, content });
  const messages = [
    turn('user', 'the cat'),
    turn('assistant', 'sat'),
    turn('user', 'and'),
    turn('assistant', 'a dog'),
  ];
  const { prompt, target } = found({ messages })!;
  assert.is(target, 'a dog');
  assert.match(decoded(prompt), /\[user\] and\s+\[assistant\]$/);
  assert.is(found({ messages: [...messages, turn('user', 'to')] })!.target, 'a dog');
});

test('text has none, and neither has what is learned from its beginning, or an end alone', () => {
  assert.is(found('the cat sat'), undefined);
  const tokens = Uint32Array.of(5, 6, 2);
  assert.is(answerOf({ tokens, learned: Uint8Array.of(1, 1, 1) }, tokenizer), undefined);
  assert.is(answerOf({ tokens, learned: Uint8Array.of(0, 0, 1) }, tokenizer), undefined);
  assert.is(answerOf({ tokens, learned: Uint8Array.of(0, 0, 0) }, tokenizer), undefined);
});

test('a plan stops at what ends answers, cuts prompts from the left, and crosses threads', () => {
  const answers = ['sat', 'ran to a tree'].map(
    (completion) => found({ prompt: 'the red house', completion })!,
  );
  const plan = planHeldOut(answers, tokenizer, { positions: 12, maxTokens: 9 });
  assert.equal(plan.stop, ['</s>']);
  assert.equal(
    plan.parts[0]!.items.map(({ prompt }) => prompt.length),
    [3, 3],
  );
  assert.is(plan.longest, 11);
  assert.is(plan.cut, 2);
  assert.is(planHeldOut(answers, tokenizer, { positions: 99, maxTokens: 9 }).cut, 0);
  const copy = received(structuredClone(sent(plan)));
  assert.is(copy.task, heldOutAnswers);
  assert.equal(copy.parts, plan.parts);
  assert.equal(
    metricsOf(plan),
    ['rouge1', 'rouge2', 'rougeL', 'rougeLsum', 'exact_match'].map((name) => `generate/${name}`),
  );
});

test('exact match takes no heed of white space around', () => {
  const item = { record: null, example: '', context: '', target: 'a mat' };
  assert.equal(
    [' a mat\n', 'A mat'].map((text) => heldOutAnswers.measure(item, text).exact_match),
    [1, 0],
  );
});

test.run();
