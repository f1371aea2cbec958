import { loadModel } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bos } from '#src/data/encoding.js';
import { pooled } from '#src/evaluation/tasks/aggregate.js';
import type { Metrics } from '#src/evaluation/tasks/item.js';
import { resultsOf, samplesOf, type TaskResults, type TaskSample } from '#src/evaluation/tasks/runTask.js';
import { cachedGenerator, cachedScorer } from '#src/library/cachedAnswers.js';
import { sharedPath } from '../../support.js';
import { type Golden, goldenData, goldenLines, goldenText, plansOf, settingOf } from './goldenTasks.js';

/** Log-likelihoods, answers and results against lm_eval's own, with BOS and without. */

interface Score extends Golden {
  readonly ll?: readonly number[];
  readonly greedy?: readonly number[];
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly new_ids?: readonly number[];
  readonly text?: string;
}

type Aggregates = Record<string, Record<string, Record<string, number>>>;

/** Nats; lm_eval's own float32 and float64 runs differ by 1.3e-4. */
const TOLERANCE = 1e-3;

const tests = suite('scores of tasks as lm_eval has them');
const model = sharedPath('data/models/stories260k');
const isHere = model !== undefined && sharedPath('goldens/lm_eval') !== undefined;

const test = isHere ? tests : tests.skip;

if (!isHere) console.log('scores of tasks as lm_eval has them: skipped without ../shared/goldens');
for (const [name, bos] of [
  ['stories260k', 'auto'],
  ['stories260k.no_bos', 'never'],
] as const) {
  test(`${name}: scores, answers and results are the same`, () => compare(name, bos));
}

async function compare(name: string, bos: Bos): Promise<void> {
  const aggregates = JSON.parse(goldenText(`${name}.aggregate.json`)) as Aggregates;
  const goldens = goldenLines<Score>(`${name}.jsonl`);
  const limits = Object.entries(aggregates.meta!.limits as unknown as Record<string, number>);
  const settings = limits.map(([key, limit]) => settingOf(key, limit));
  const plans = await plansOf(settings, goldenData(), model!, { bos });
  const sequence = Math.max(...plans.map(({ longest }) => longest));
  assert.is(sequence, 512);
  const loaded = await loadModel(model!, { sequence: 1, context: sequence, batch: 2, threads: 2 });
  let compared = 0;
  try {
    for (const [i, plan] of plans.entries()) {
      const [key] = limits[i]!;
      const measured = new Map<string, Metrics[]>();
      const answering = { scorer: cachedScorer(loaded), generator: cachedGenerator(loaded) };
      for await (const sample of samplesOf(plan, answering)) {
        measured.set(sample.task, [...(measured.get(sample.task) ?? []), sample.metrics]);
        const task = key.startsWith('gsm8k_g16') ? 'gsm8k_g16' : sample.task;
        const golden = goldens.find(
          (found) => found.task === task && found.shots === sample.shots && found.doc_id === sample.doc_id,
        );
        compareSample(sample, golden!, `${key} ${sample.task} ${sample.doc_id}`);
        compared++;
      }
      compareResults(resultsOf(plan.task, measured), aggregates[key]!);
    }
  } finally {
    await loaded.close();
  }
  assert.is(compared, goldens.length);
}

function compareSample(sample: TaskSample, golden: Score, where: string): void {
  if (golden.new_ids) {
    assert.equal(sample.ids, golden.new_ids, where);
    assert.is(sample.text, golden.text, where);
    return;
  }
  assert.is(sample.ll!.length, golden.ll!.length, where);
  for (const [i, ll] of sample.ll!.entries()) {
    const expected = golden.ll![i]!;
    assert.ok(Math.abs(ll - expected) < TOLERANCE, `${where}: ${ll}, expected ${expected}`);
  }
  assert.equal(sample.greedy, golden.greedy, where);
  for (const [metric, value] of Object.entries(sample.metrics)) {
    assert.ok(Math.abs(value - (golden.metrics[metric] as number)) < 1e-4, `${where} ${metric}`);
  }
}

/** Of groups that hold anatomy: here, as in lm_eval's own files, it is a subject of stem; the goldens have it in other. */
const OTHERWISE = ['mmlu_stem', 'mmlu_other'];

function compareResults(results: TaskResults, golden: Record<string, Record<string, number>>): void {
  const names = Object.keys(golden).map((name) => name.replace('_g16', ''));
  assert.equal([...results.keys()].sort(), names.sort());
  for (const [name, expected] of Object.entries(golden)) {
    const metrics = OTHERWISE.includes(name)
      ? regrouped(name, results)
      : results.get(name.replace('_g16', ''))!;
    for (const [metric, { mean, stderr, items }] of metrics) {
      const [plain, filter = 'none'] = metric.split(',');
      assert.is(items, expected.sample_len, name);
      assert.ok(Math.abs(mean - expected[`${plain},${filter}`]!) < 1e-5, `${name} ${metric} ${mean}`);
      assert.ok(
        Math.abs(stderr! - expected[`${plain}_stderr,${filter}`]!) < 1e-5,
        `${name} ${metric} ${stderr}`,
      );
    }
  }
}

function regrouped(name: string, results: TaskResults): ReadonlyMap<string, ReturnType<typeof pooled>> {
  const subjects = {
    mmlu_stem: ['abstract_algebra', 'astronomy', 'college_computer_science'],
    mmlu_other: ['management', 'global_facts', 'anatomy'],
  }[name]!;
  return new Map([['acc', pooled(subjects.map((subject) => results.get(`mmlu_${subject}`)!.get('acc')!))]]);
}

tests.run();
