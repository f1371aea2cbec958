import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MetricsRecord } from '#src/records.js';
import { StudyMeter } from '#src/study/meter.js';
import type { Job, StudyPlan } from '#src/study/plan.js';
import type { CellRecord, StudyProgress } from '#src/study/records.js';

/** How far a study says that it is. */

const test = suite('progress of a study');

test('a branch counts from its fork, at its own batch', () => {
  // A cell of 4 steps of 64 tokens has ended; its branch makes 4 steps of 256 from step 2 on.
  const parent = { tokens: 256, curve: [{ step: 0, tokens: 0, nll: 3 }] } as unknown as CellRecord;
  const branch = { from: 'parent', step: 2, factor: 4 };
  const job = { branch, tokens: 1024, axes: {}, options: { steps: 6 } } as unknown as Job;
  const [records, jobs] = [[parent], [job]];
  const told: StudyProgress[] = [];
  const meter = new StudyMeter({ records, jobs } as unknown as StudyPlan, { rank: 0, size: 1 }, (progress) =>
    told.push(progress),
  );
  meter.count();
  meter.ran({ tokens: 256 } as Job, 1);
  meter.begin(job);
  meter.follow(job, { type: 'step', step: 3 } as MetricsRecord);
  assert.equal(
    told.map(({ tokens, knownTokens, secondsLeft }) => [tokens, knownTokens, secondsLeft]),
    [
      [256, 1280, 4],
      [256, 1280, 3],
    ],
  );
  const ended = { branch, tokens: 128 + 1024, curve: [{ step: 2, tokens: 128, nll: 2 }] };
  records.push(ended as unknown as CellRecord);
  jobs.pop();
  meter.count();
  meter.begin(job);
  assert.equal([told.at(-1)!.tokens, told.at(-1)!.knownTokens], [1280, 1280]);
});

test.run();
