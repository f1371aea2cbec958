import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainInput } from 'rivulet';
import * as assert from 'uvu/assert';
import type { LOOP_OPTIONS } from '#src/options/evaluations.js';
import { madeUpData } from '../evaluation/tasks/madeUp.js';
import { type Case, sameAdapter } from './optionCase.js';
import { recordsOf } from './outcome.js';

const taskData = madeUpData();
const asked: Partial<TrainInput> = { evalTasks: ['winogrande'], taskData, shots: 0 };

/** What evaluations measure beside the loss, and what depends on it. */
export const loopCases = ({
  evaluated,
  chatty,
}: Readonly<Record<'evaluated' | 'chatty', Partial<TrainInput>>>): Record<
  keyof typeof LOOP_OPTIONS,
  Case
> => ({
  evalTasks: {
    change: { evalTasks: ['gsm8k'], taskData, shots: 0, maxTokens: 2 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.equal(
        recordsOf(changed, 'tasks').map(({ results }) => Object.keys(results)),
        [['gsm8k'], ['gsm8k']],
      );
    },
  },
  shots: {
    beside: asked,
    change: { shots: 9 },
    refused: /^winogrande: expected at least 10 items to draw 9 examples from, found 3; lower --shots$/,
  },
  limit: {
    beside: asked,
    change: { limit: 1 },
    check: (changed, plain) => {
      const counts = [changed, plain].map((outcome) => recordsOf(outcome, 'tasks')[0]!.items);
      assert.equal(counts, [{ winogrande: 1 }, { winogrande: 3 }]);
    },
  },
  taskData: { change: { taskData: 'nowhere' }, beside: asked, refused: /^--task-data: expected a folder / },
  evalGenerate: {
    beside: { ...chatty, evalFraction: 0.3, evalTokens: 64 },
    change: { evalGenerate: 3, maxTokens: 4 },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.equal(recordsOf(changed, 'tasks')[0]!.items, { generate: 3 });
    },
  },
  maxTokens: {
    beside: { evalTasks: ['gsm8k'], taskData, shots: 0, maxTokens: 2 },
    change: { maxTokens: 500 },
    refused: /^--max-tokens: expected less than 128, the model's positions/,
  },
  keepBest: {
    beside: evaluated,
    change: { keepBest: 'nll' },
    check: (changed, plain) => {
      sameAdapter(changed, plain);
      assert.equal(
        [changed, plain].map(({ out }) => existsSync(join(out, 'best'))),
        [true, false],
      );
    },
  },
  earlyStop: {
    beside: { ...asked, evalFraction: 0, evalEvery: 1, steps: 6, lr: 1e-9 },
    change: { earlyStop: 'winogrande/acc:2' },
    check: (changed) => assert.is(recordsOf(changed, 'end')[0]!.step, 3),
  },
});
