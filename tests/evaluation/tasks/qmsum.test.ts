import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEncode, createEncodePrompt } from '#src/data/encoding.js';
import type { MeetingQuery } from '#src/data/examples.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { aggregate } from '#src/evaluation/tasks/aggregate.js';
import { taskEncoder } from '#src/evaluation/tasks/encodePair.js';
import type { WrittenItem } from '#src/evaluation/tasks/item.js';
import { planTask, type WrittenPlan } from '#src/evaluation/tasks/planTask.js';
import { qmsum } from '#src/evaluation/tasks/qmsum.js';
import { resultsOf, samplesOf } from '#src/evaluation/tasks/runTask.js';
import { taskData } from '#src/evaluation/tasks/taskData.js';
import { QMSUM_DEFAULTS, type QmsumOptions } from '#src/options/qmsum.js';
import { prepareTasks } from '#src/prepare/evaluationTasks.js';
import { miniaturePaths } from '#src/prepare/miniature.js';
import { MEETING, meetingLines, OTHER } from '../../data/meetings.js';
import { inputErrorOf } from '../../inputErrors.js';
import { sharedPath } from '../../support.js';
import { madeUpData } from './madeUp.js';

/** Summaries of meetings: what is asked, and what comes of answers. */

const { student } = miniaturePaths();
const tokenizer = await loadTokenizer(student);

const decode = (ids: Uint32Array) => tokenizer.decode(ids);

async function itemsOf(folder: string, options?: QmsumOptions): Promise<readonly WrittenItem[]> {
  const encodePrompt = createEncodePrompt(tokenizer, { qmsum: options });
  const [part] = await qmsum.read(taskData(folder), { qmsum: options, encodePrompt, decode });
  return part!.items;
}

/** Task data with meetings of more than one query. */
const withMeetings = () => madeUpData({ 'qmsum/test.jsonl': meetingLines([MEETING, OTHER]) });

const tests = suite('qmsum');

tests('asks what train learns the answer to', async () => {
  const items = await itemsOf(withMeetings());
  assert.equal(
    items.map(({ target }) => target),
    ['It is at noon.', 'Cy wants tea,\nand no soup.', 'Nobody.'],
  );
  const encode = createEncode(tokenizer, { eos: false });
  for (const { prompt, record, context } of items) {
    const { tokens, learned } = encode(record as MeetingQuery);
    assert.equal(tokens.subarray(0, prompt!.length), prompt);
    assert.is(learned!.indexOf(1), prompt!.length);
    assert.match(context, /You are given a meeting transcript .*\nAnswer:$/s);
  }
});

tests('general queries, and how much is read, as --qmsum says', async () => {
  const options = { ...QMSUM_DEFAULTS, queries: 'all', transcript: 'whole', tokens: 'all' } as const;
  const items = await itemsOf(withMeetings(), options);
  assert.is(items.length, 5);
  assert.ok(items[1]!.context.includes('Al: Shall we begin ?'));
});

tests('is scored by ROUGE, with means and standard errors', async () => {
  const plan = (await planTask(
    qmsum,
    [{ name: 'qmsum', items: await itemsOf(withMeetings()), pool: [], draw: 'first', preamble: '' }],
    taskEncoder(tokenizer, 'auto'),
    { shots: 5, limit: undefined, maxTokens: 20, positions: 512 },
  )) as WrittenPlan;
  assert.is(plan.shots, 0, 'whatever is asked for');
  const texts = [' It is at noon.', ' and no tea', ''];
  const generator = {
    forwarded: 0,
    complete: async (prompts: readonly Uint32Array[]) => {
      assert.equal(
        prompts,
        plan.parts[0]!.items.map(({ prompt }) => prompt),
      );
      return texts.map((text) => ({ ids: new Uint32Array(0), text }));
    },
  };
  const scorer = { forwarded: 0, score: async () => [] };
  const metrics = [];
  for await (const sample of samplesOf(plan, { generator, scorer })) metrics.push(sample.metrics);
  // "and no tea" of "cy wants tea and no soup": 3 words of 3 and 6, one pair of 2 and 5; in order 2, by lines 2 and 1.
  const f1 = (hits: number, found: number, expected: number) => (2 * hits) / (found + expected);
  const expected = {
    rouge1: [1, f1(3, 3, 6), 0],
    rouge2: [1, f1(1, 2, 5), 0],
    rougeL: [1, f1(2, 3, 6), 0],
    rougeLsum: [1, f1(3, 3, 6), 0],
  };
  const results = resultsOf(qmsum, new Map([['qmsum', metrics]])).get('qmsum')!;
  for (const [name, values] of Object.entries(expected)) {
    const { mean, stderr, items } = aggregate(values);
    const found = results.get(name)!;
    assert.is(found.items, items);
    assert.ok(Math.abs(found.mean - mean) < 1e-12, `${name}: ${found.mean}, expected ${mean}`);
    assert.ok(Math.abs(found.stderr! - stderr!) < 1e-12);
  }
});

tests('a meeting that is wrong, and a model without a chat template, are told in a line', async () => {
  const spans = [{ query: 'a', answer: 'b', relevant_text_span: [[0, 9]] }];
  const wrong = meetingLines([OTHER, { ...MEETING, specific_query_list: spans }]);
  assert.match(
    await inputErrorOf(() => itemsOf(madeUpData({ 'qmsum/test.jsonl': wrong }))),
    /test\.jsonl: line 2, byte \d+: specific_query_list\[0\]: expected relevant_text_span .*; mend the record$/,
  );
  const tasks = { tasks: ['qmsum' as const], taskData: withMeetings(), bos: 'auto' as const };
  const request = { shots: undefined, limit: undefined, maxTokens: undefined };
  const chat = { ...QMSUM_DEFAULTS, prompt: 'chat' } as const;
  assert.match(
    await inputErrorOf(() => prepareTasks(student, { ...tasks, ...request, qmsum: chat })),
    /test\.jsonl:1#0: expected a model with a chat template for conversations, found one without; /,
  );
});

tests.run();

/** Means of 70 queries, answered by the first three turns of their meeting, as rouge-score has them. */
const LEAD_3 = { rouge1: 0.07609, rouge2: 0.01026, rougeL: 0.05134, rougeLsum: 0.05523 };

const shared = sharedPath('data/eval');
const real = suite('qmsum, real meetings');
const withShared = shared ? real : real.skip;

withShared(
  `the first three turns as a summary${shared ? '' : ' (no ../shared: 70 queries skipped)'}`,
  async () => {
    const meetings = readFileSync(join(shared!, 'qmsum/test.jsonl'), 'utf8').trimEnd().split('\n');
    const metrics = meetings.flatMap((line) => {
      const { specific_query_list: queries, meeting_transcripts: turns } = JSON.parse(line);
      const lead = turns
        .slice(0, 3)
        .map(({ content }: { content: string }) => content)
        .join('\n');
      return queries.slice(0, 2).map((query: { answer: string }) => {
        const item = { record: query, context: '', target: query.answer, example: '' };
        return qmsum.measure(item, lead);
      });
    });
    assert.is(metrics.length, 70);
    const results = resultsOf(qmsum, new Map([['qmsum', metrics]])).get('qmsum')!;
    for (const [name, expected] of Object.entries(LEAD_3)) {
      const { mean } = results.get(name)!;
      assert.ok(Math.abs(mean - expected) < 5e-6, `${name}: ${mean}, expected ${expected}`);
    }
    assert.is((await itemsOf(shared!)).length, 244);
  },
);

real.run();
