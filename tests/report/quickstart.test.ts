import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { heldOutLosses, quickstartTable } from '#src/report/quickstart.js';
import { temporaryFolder } from '../support.js';

const results = {
  teacher: 0.6,
  cpt: { mean: 0.8, spread: 0.01 },
  cptKd: { mean: 0.7, spread: 0.01 },
  seeds: [1, 2],
};

test("the table is of the run's own first and last evaluation, also when it was stopped between them", () => {
  const path = join(temporaryFolder('quickstart'), 'metrics.jsonl');
  const records = [
    { type: 'start' },
    { type: 'eval', step: 0, nll: 0.8857 },
    { type: 'step', step: 1, loss: 9 },
    { type: 'eval', step: 50, nll: 0.8263 },
    { type: 'eval', step: 100, nll: 0.8214 },
    { type: 'end', step: 100 },
  ];
  writeFileSync(path, `${records.map((record) => JSON.stringify(record)).join('\n')}\n{"type":"eval","nl`);
  assert.equal(heldOutLosses(path), [0.8857, 0.8263, 0.8214]);
  const table = quickstartTable(results, heldOutLosses(path));
  assert.match(table, /student as it is +0\.8857$/m);
  assert.match(table, /after this run +0\.8214$/m);
});

test.run();
