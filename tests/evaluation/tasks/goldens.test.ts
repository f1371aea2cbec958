import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { type EncodedPair, taskEncoder } from '#src/evaluation/tasks/encodePair.js';
import { flexibleExtract, measureNumber, strictMatch } from '#src/evaluation/tasks/numberAnswers.js';
import { argumentsOf, isChoicePlan, promptOf, type TaskPlan } from '#src/evaluation/tasks/planTask.js';
import { sharedPath } from '../../support.js';
import { type Golden, goldenData, goldenLines, goldenText, plansOf, settingOf } from './goldenTasks.js';

/** Prompts, ids and examples against lm_eval's own, and the filters of numbers. */

interface Prompt extends Golden {
  readonly prompts: readonly string[];
  readonly conts: readonly string[];
  readonly gold: number;
  readonly n_ctx: readonly number[];
  readonly cont_ids: readonly (readonly number[])[];
  readonly ctx0_ids?: readonly number[];
  readonly target?: string;
  readonly gen?: { readonly max_gen_toks: number };
  readonly input_ids_after_cut?: readonly number[];
}

interface Encoding extends Golden {
  readonly n_ctx: readonly number[];
  readonly ctx_head: readonly (readonly number[])[];
  readonly ctx_tail: readonly (readonly number[])[];
  readonly cont_ids: readonly (readonly number[])[];
}

const tests = suite('tasks as lm_eval has them');
const isHere = sharedPath('goldens/lm_eval') !== undefined && sharedPath('data/eval') !== undefined;

let plans: ReadonlyMap<string, TaskPlan>;

const test = isHere ? tests : tests.skip;

if (isHere) {
  tests.before(async () => {
    const { meta } = JSON.parse(goldenText('stories260k.aggregate.json'));
    const keys = Object.entries(meta.limits as Record<string, number>);
    const settings = keys.map(([key, limit]) => settingOf(key, limit));
    const made = await plansOf(settings, goldenData(), sharedPath('data/models/stories260k')!);
    plans = new Map(keys.map(([key], i) => [key, made[i]!]));
  });
} else console.log('tasks as lm_eval has them: skipped without ../shared/goldens');

test('prompts, continuations and ids are the same', prompts);
test("ids of Llama 3's tokenizer are the same", llama3);
test('the same examples are drawn', examples);
test('numbers are found and compared as there', filters);

const keyOf = ({ task, shots }: Golden) => `${task.startsWith('mmlu_') ? 'mmlu' : task}:${shots}`;

/** Of an item: its texts, what is right, and what its model reads. */
function planned({ task, shots, doc_id }: Golden) {
  const plan = plans.get(keyOf({ task, shots, doc_id }))!;
  const name = task === 'gsm8k_g16' ? 'gsm8k' : task;
  if (isChoicePlan(plan)) {
    const { part, items } = plan.parts.find((found) => found.part.name === name)!;
    const item = items[doc_id]!;
    return { texts: argumentsOf(part, item), right: item.item.right, target: undefined, prompt: undefined };
  }
  const { part, items } = plan.parts[0]!;
  const { item, shown, prompt } = items[doc_id]!;
  return {
    texts: [[promptOf(part, shown) + item.context, '']],
    target: item.target,
    prompt,
    right: undefined,
  };
}

async function prompts(): Promise<void> {
  const encoder = taskEncoder(await loadTokenizer(sharedPath('data/models/stories260k')!), 'auto');
  const goldens = goldenLines<Prompt>('prompts.jsonl');
  assert.ok(goldens.length > 300);
  for (const golden of goldens) {
    const { texts, right, target, prompt } = planned(golden);
    const where = `${golden.task}:${golden.shots} ${golden.doc_id}`;
    if (golden.target !== undefined) {
      assert.is(texts[0]![0], golden.prompts[0], where);
      assert.is(target, golden.target, where);
      assert.equal(Array.from(prompt!), golden.input_ids_after_cut, where);
      continue;
    }
    const count = Math.max(golden.prompts.length, golden.conts.length);
    const at = (all: readonly string[], i: number) => all[all.length === 1 ? 0 : i];
    assert.equal(
      texts,
      Array.from({ length: count }, (_, i) => [at(golden.prompts, i), at(golden.conts, i)]),
      where,
    );
    if (golden.task !== 'truthfulqa_mc2') assert.equal(right, [golden.gold], where);
    const pairs = texts.map(([context, continuation]) => encoder.pair(context!, continuation!));
    assert.equal(
      pairs.map(({ context }) => context.length),
      golden.n_ctx,
      where,
    );
    assert.equal(
      pairs.map(({ continuation }) => Array.from(continuation)),
      golden.cont_ids,
      where,
    );
    if (golden.ctx0_ids) assert.equal(Array.from(pairs[0]!.context), golden.ctx0_ids, where);
  }
}

async function llama3(): Promise<void> {
  const encoder = taskEncoder(await loadTokenizer(sharedPath('data/tokenizers/llama3')!), 'auto');
  const goldens = goldenLines<Encoding>('llama3_encoding.jsonl');
  assert.ok(goldens.length > 100);
  for (const golden of goldens) {
    const pairs = planned(golden).texts.map(([context, continuation]) =>
      encoder.pair(context!, continuation!),
    );
    const ids = (part: (pair: EncodedPair) => Uint32Array) => pairs.map((pair) => Array.from(part(pair)));
    const where = `${golden.task}:${golden.shots} ${golden.doc_id}`;
    assert.equal(
      ids(({ continuation }) => continuation),
      golden.cont_ids,
      where,
    );
    assert.equal(
      pairs.map(({ context }) => context.length),
      golden.n_ctx,
      where,
    );
    assert.equal(
      ids(({ context }) => context.subarray(0, 3)),
      golden.ctx_head,
      where,
    );
    assert.equal(
      ids(({ context }) => context.subarray(-4)),
      golden.ctx_tail,
      where,
    );
  }
}

async function examples(): Promise<void> {
  const goldens: Record<string, Record<string, number[]>> = JSON.parse(goldenText('fewshot_indices.json'));
  assert.is(Object.keys(goldens).length, 5);
  for (const [key, items] of Object.entries(goldens)) {
    const shown = plans.get(key)!.parts[0]!.items.map((item) => item.shown);
    assert.equal(shown, Object.values(items), key);
  }
}

function filters(): void {
  const { cases } = JSON.parse(readFileSync(sharedPath('goldens/gsm8k_filters.json')!, 'utf8'));
  assert.is(cases.length, 20);
  for (const golden of cases) {
    assert.is(strictMatch(golden.output), golden['strict-match'], golden.output);
    assert.is(flexibleExtract(golden.output), golden['flexible-extract'], golden.output);
    assert.equal(measureNumber(golden.output, golden.gold), {
      'exact_match,strict-match': golden['strict-match:exact_match'],
      'exact_match,flexible-extract': golden['flexible-extract:exact_match'],
    });
  }
}

tests.run();
