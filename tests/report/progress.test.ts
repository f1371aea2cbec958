import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StepRecord, TasksRecord } from '#src/records.js';
import { clock, skippedLine, stepLine, taskLines } from '#src/report/progress.js';

const RUN = { steps: 200, hasTeacher: true };

test('clock', () => {
  assert.equal([-1, 0, 59.6, 61, 3599, 3600, 90_061].map(clock), [
    ...['0:00', '0:00', '1:00', '1:01', '59:59', '1:00:00', '25:01:01'],
  ]);
});

test('a line has step, losses, tokens per second and the time to go', () => {
  const record = { step: 7, loss: 1.5, ce: 2.25, kl: 0.12345, tokens_per_s: 1234.5 } as StepRecord;
  assert.is(
    stepLine(record, { steps: 200, hasTeacher: true }, 0.5),
    'step   7/200  loss 1.5000  ce 2.2500  kl 0.1235  1,235 tok/s  eta 1:37',
  );
  assert.is(
    stepLine(record, { steps: 200, hasTeacher: false }, 0.5),
    'step   7/200  loss 1.5000  1,235 tok/s  eta 1:37',
  );
});

test('a line has the share of padding where there is some', () => {
  const record = { step: 7, loss: 1, ce: 1, kl: 0, tokens_per_s: 10, padding: 0.0312 } as StepRecord;
  assert.match(stepLine(record, RUN, 0.5), / {2}10 tok\/s {2}padding 3\.1 % {2}eta /);
  assert.not.match(stepLine({ ...record, padding: 0 }, RUN, 0.5), /padding/);
});

test('skipped documents: how many, and the first ones', () => {
  const found = ['a: bad', 'b: bad', 'c: bad', 'd: bad', 'e: bad'];
  const lineOf = (names: string[]) =>
    skippedLine({ step: 3, skipped_documents: { total: 9, found: names } } as unknown as StepRecord);
  assert.is(
    lineOf(found),
    'step 3: 9 documents left out so far; a: bad; b: bad; c: bad; and 2 more in metrics.jsonl',
  );
  assert.is(lineOf(found.slice(0, 1)), 'step 3: 9 documents left out so far; a: bad');
});

test('tasks: a line each, of mmlu no subjects, without standard errors', () => {
  const acc = { acc: 0.5, acc_stderr: null };
  const filtered = { 'exact_match,strict-match': 0.25, 'exact_match_stderr,strict-match': 0.1 };
  const record: TasksRecord = {
    type: 'tasks',
    step: 4,
    results: { mmlu: acc, mmlu_other: acc, gsm8k: filtered, generate: { rougeL: null } },
    items: { mmlu: 1200, mmlu_other: 1200, gsm8k: 4, generate: 2 },
    busy: { seconds: 1, share: 1, waited: 0 },
  };
  assert.equal(taskLines(record), [
    'eval  step 4  mmlu  acc 0.5000  (1,200 items)',
    'eval  step 4  gsm8k  exact_match,strict-match 0.2500  (4 items)',
    'eval  step 4  generate  rougeL NaN  (2 items)',
  ]);
});

test.run();
