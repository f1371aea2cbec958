import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { studyLine } from '#src/report/studying.js';

/** The line that says how far a study is. */

const test = suite('progress of a study');
const cell = { axes: { start: 'random', lr: 0.001 }, step: 3, steps: 8 };

test('the cell that runs, the cells that do, and none once all have ended', () => {
  const told = { done: 4, known: 6, tokens: 1200 };
  assert.is(
    studyLine({ ...told, running: [cell], secondsLeft: 61 }),
    'cell 5/6  1,200 tokens  start random lr 0.001  step 3/8  eta 1:01',
  );
  assert.is(studyLine({ ...told, running: [cell, cell] }), 'cells 5-6/6  1,200 tokens  steps 3/8, 3/8');
  assert.is(studyLine({ ...told, done: 6, running: [] }), 'cell 6/6  1,200 tokens');
});

test.run();
