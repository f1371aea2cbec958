import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RunError } from '#src/base/errors.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { aggregate, pooled } from '#src/evaluation/tasks/aggregate.js';
import { cutToScore, cutToWrite } from '#src/evaluation/tasks/contextCut.js';
import { taskEncoder } from '#src/evaluation/tasks/encodePair.js';
import { drawExamples } from '#src/evaluation/tasks/fewShot.js';
import type { ChoiceItem, Draw, Part } from '#src/evaluation/tasks/item.js';
import { accuracy, normedAccuracy, rightProbability } from '#src/evaluation/tasks/multipleChoice.js';
import { flexibleExtract, isSameAnswer, strictMatch } from '#src/evaluation/tasks/numberAnswers.js';
import { type ChoicePlan, planTask, type TaskRequest } from '#src/evaluation/tasks/planTask.js';
import { TASKS } from '#src/evaluation/tasks/registry.js';
import { cutAtStops, type ScoredGroup } from '#src/evaluation/tasks/scorer.js';
import { makeFixture } from '../../fixtures.js';
import { inputErrorOf } from '../../inputErrors.js';
import { wholeSequences } from './wholeSequences.js';

/** From items to requests, and from log-likelihoods to results. */

const { student } = makeFixture('requests');
const tokenizer = await loadTokenizer(student);

const tests = suite('requests of tasks');

tests('ids: BOS as asked for, but never twice', () => {
  const plain = tokenizer.encode('the cat', { addSpecialTokens: false });
  const [auto, always, never] = (['auto', 'always', 'never'] as const).map((bos) =>
    taskEncoder(tokenizer, bos),
  );
  const bos = tokenizer.bosId!;
  assert.equal(auto!.encode('the cat'), Uint32Array.of(...tokenizer.before, ...plain));
  assert.equal(always!.encode('the cat'), Uint32Array.of(bos, ...plain));
  assert.equal(never!.encode('the cat'), plain);
  const own = tokenizer.encode('<s>the cat', { addSpecialTokens: false });
  assert.is(own[0], bos);
  assert.equal(always!.encode('<s>the cat'), own);
});

tests('pairs: white space goes to the continuation, an empty context is BOS', () => {
  const encoder = taskEncoder(tokenizer, 'always');
  const { context, continuation } = encoder.pair('the cat \n ', ' sat');
  assert.equal(context, encoder.encode('the cat'));
  assert.equal(Uint32Array.of(...context, ...continuation), encoder.encode('the cat \n  sat'));
  const alone = tokenizer.encode(' sat', { addSpecialTokens: false });
  assert.equal(encoder.pair('', ' sat'), { context: Uint32Array.of(tokenizer.bosId!), continuation: alone });
  const begun = encoder.pair('', '<s>sat');
  assert.equal(begun.context, Uint32Array.of(tokenizer.bosId!));
  assert.is.not(begun.continuation[0], tokenizer.bosId);
});

tests('pairs without an id on one side are refused', async () => {
  const encoder = taskEncoder(tokenizer, 'never');
  assert.match(
    await inputErrorOf(() => encoder.pair(' ', 'a')),
    'expected a context with a token, found none before the other part; mend the item',
  );
  assert.match(
    await inputErrorOf(() => encoder.pair('a', '')),
    'expected a continuation with a token, found none',
  );
});

tests('a cut leaves the model its positions, and one id to predict', async () => {
  const ids = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
  const lengths = (context: number, continuation: number) => {
    const cut = cutToScore({ context: ids(context), continuation: ids(continuation) }, 8);
    assert.equal(cut.continuation, ids(continuation));
    assert.is(cut.context.at(-1), context - 1);
    return cut.context.length;
  };
  assert.is(lengths(6, 3), 6);
  assert.is(lengths(7, 3), 6);
  assert.is(lengths(100, 8), 1);
  assert.match(
    await inputErrorOf(() => lengths(5, 9)),
    "expected a continuation of at most 8 tokens, the model's positions, found 9; ",
  );
  assert.equal(cutToWrite(ids(10), 8, 3), ids(10).subarray(5));
  assert.equal(cutToWrite(ids(5), 8, 3), ids(5));
  assert.match(
    await inputErrorOf(() => cutToWrite(ids(5), 8, 8)),
    "--max-tokens: expected less than 8, the model's positions, so that a prompt fits, found 8; lower it",
  );
});

const item = (text: string, changes: Partial<ChoiceItem> = {}): ChoiceItem => ({
  ...{ record: { text }, example: text, contexts: [text], choices: ['the cat', 'a dog'], right: [0] },
  ...changes,
});

const partOf = (draw: Draw, count = 9): Part<ChoiceItem> => {
  const items = Array.from({ length: count }, (_, i) => item(`the ${'a '.repeat(i)}mat`));
  return { name: 'made_up', items, pool: items, draw, preamble: 'on ' };
};

tests('examples: others are never the item itself, the first ones are always the same', async () => {
  const drawn = drawExamples(partOf('others'), 4, 9);
  for (const [i, shown] of drawn.entries()) {
    assert.is(shown.length, 4);
    assert.is(new Set(shown).size, 4);
    assert.not(shown.includes(i));
  }
  assert.equal(drawExamples(partOf('others'), 4, 3), drawn.slice(0, 3));
  assert.equal(drawExamples(partOf('random'), 3, 1), [[7, 1, 0]]);
  assert.equal(drawExamples(partOf('first'), 2, 2), [
    [0, 1],
    [0, 1],
  ]);
  assert.equal(drawExamples(partOf('others'), 0, 2), [[], []]);
  const message = 'made_up: expected at least 10 items to draw 9 examples from, found 9; lower --shots';
  assert.is(await inputErrorOf(() => drawExamples(partOf('others'), 9, 1)), message);
  assert.is(drawExamples(partOf('random'), 9, 1)[0]!.length, 9);
});

const request = { shots: 0, limit: undefined, maxTokens: undefined, positions: 128 };
const planned = (part: Part<ChoiceItem>, changes: Partial<TaskRequest> = {}): Promise<ChoicePlan> =>
  planTask(TASKS.arc_challenge, [part], taskEncoder(tokenizer, 'auto'), {
    ...request,
    ...changes,
  }) as Promise<ChoicePlan>;

tests('a limit is a number of items, or a share rounded up', async () => {
  const count = async (limit: number | undefined) =>
    (await planned(partOf('first'), { limit })).parts[0]!.items.length;
  const counts = await Promise.all([undefined, 1, 4, 100, 0.001, 0.5, 0.99].map(count));
  assert.equal(counts, [9, 1, 4, 9, 1, 5, 9]);
});

tests('choices share a context until it is cut differently for each', async () => {
  const part: Part<ChoiceItem> = { ...partOf('first', 0), items: [item('the cat sat')] };
  const [whole] = (await planned(part)).parts[0]!.items;
  assert.is(whole!.groups.length, 1);
  assert.equal(whole!.requests, [
    [0, 0],
    [0, 1],
  ]);
  const plan = await planned(part, { positions: 3 });
  const [cut] = plan.parts[0]!.items;
  assert.is(plan.longest, 3);
  for (const { context, continuations } of cut!.groups) {
    for (const { length } of continuations) assert.is(context.length + length, 4);
  }
});

tests('a signal stops between any two items, however many there are', async () => {
  const stop = new AbortController();
  const part = { ...partOf('first', 0), items: Array.from({ length: 1000 }, () => item('the cat sat')) };
  let read = 0;
  const items = part.items.map((one) => ({
    ...one,
    get contexts() {
      read++;
      return one.contexts;
    },
  }));
  setImmediate(() => stop.abort());
  const error = await planned({ ...part, items }, { signal: stop.signal }).catch((reason) => reason);
  assert.instance(error, RunError);
  assert.match(error.message, 'expected to read all items of the tasks, found a signal to stop');
  assert.ok(read < 50, `${read} items were read`);
});

tests('an item that cannot be asked is named', async () => {
  const part = { ...partOf('first', 0), items: [item('a'), item('a', { choices: ['a '.repeat(200)] })] };
  assert.match(
    await inputErrorOf(() => planned(part)),
    /^made_up, item 1: expected a continuation of at most 128 tokens, the model's positions, found \d+; /,
  );
});

tests('the same continuation is scored once', async () => {
  const asked: number[] = [];
  const scorer = wholeSequences({
    continuations: async (examples) =>
      Array.from(examples, ({ tokens, learned }) => {
        asked.push(tokens.length);
        const count = learned!.reduce((sum, flag) => sum + flag, 0);
        return { logLikelihood: -tokens.at(-1)!, tokens: count, isGreedy: false };
      }),
  });
  const [context, a, b] = [Uint32Array.of(1, 2), Uint32Array.of(3), Uint32Array.of(4, 5)];
  const groups: ScoredGroup[] = [
    { context, continuations: [a, b, Uint32Array.of(3)] },
    { context, continuations: [b] },
  ];
  const scores = await scorer.score(groups);
  assert.equal(
    scores.map((group) => group.map(({ logLikelihood, tokens }) => [logLikelihood, tokens])),
    [
      [
        [-3, 1],
        [-5, 2],
        [-3, 1],
      ],
      [[-5, 2]],
    ],
  );
  assert.equal(asked, [3, 4, 4]);
  assert.is(scorer.forwarded, 2 + 3 + 3);
});

tests.run();

const results = suite('results of tasks');

results('the first of equally likely choices counts, by character for acc_norm', () => {
  const asked = item('', { choices: ['ab', 'a😀cd'], right: [1] });
  assert.equal(accuracy(asked, [-2, -2]), { acc: 0 });
  assert.equal(normedAccuracy(asked, [-2, -3]), { acc: 0, acc_norm: 1 });
  // Four characters, of which one is two units of UTF-16.
  assert.equal(normedAccuracy(asked, [-2, -4.5]), { acc: 0, acc_norm: 0 });
});

results('mc2 is the share of the right answers; none where all are too unlikely', () => {
  const asked = item('', { choices: ['a', 'b', 'c'], right: [0, 2] });
  const { acc } = rightProbability(asked, [Math.log(0.1), Math.log(0.2), Math.log(0.5)]);
  assert.ok(Math.abs(acc! - 0.75) < 1e-12);
  assert.ok(Number.isNaN(rightProbability(asked, [-800, -900, -750]).acc));
});

results('means with their standard errors, and groups', () => {
  assert.equal(aggregate([1]), { mean: 1, stderr: null, items: 1 });
  const three = aggregate([1, 0, 0]);
  assert.is(three.mean, 1 / 3);
  assert.ok(Math.abs(three.stderr! - 1 / 3) < 1e-12);
  const two = aggregate([1, 0]);
  const group = pooled([three, two]);
  assert.equal([group.mean, group.items], [2 / 5, 5]);
  // ((3 - 1) se1^2 3 + (2 - 1) se2^2 2) / (5 - 2) / 5
  assert.ok(Math.abs(group.stderr! - Math.sqrt((2 / 3 + 1 / 2) / 3 / 5)) < 1e-12);
  assert.is(pooled([three, aggregate([1])]).stderr, null);
});

results('numbers in answers', () => {
  const cases: [text: string, strict: string, flexible: string][] = [
    ['so 3 + 4 = 7.\n#### 7', '7', '7'],
    ['#### 1,234\n#### 5', '1,234', '5'],
    ['about $-12.50 or so', '[invalid]', '-12.50'],
    ['none at all', '[invalid]', '[invalid]'],
  ];
  for (const [text, strict, flexible] of cases) {
    assert.is(strictMatch(text), strict);
    assert.is(flexibleExtract(text), flexible);
  }
  assert.is(isSameAnswer('$1,234.', 'it is\n#### 1234'), 1);
  assert.is(isSameAnswer('18.0', '#### 18'), 0);
  assert.is(isSameAnswer('[invalid]', '#### 18'), 0);
});

results('texts end at each of the stops in turn', () => {
  assert.is(cutAtStops('a b c d', ['c', 'b']), 'a ');
  assert.is(cutAtStops('a b', ['x', '']), 'a b');
});

results.run();
