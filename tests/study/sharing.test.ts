import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { cellRecord, failure } from '#src/study/cellRecord.js';
import { readStudyConfig } from '#src/study/config.js';
import { type Job, StudyPlan } from '#src/study/plan.js';
import { CellSharing, type EndedCell } from '#src/study/sharing.js';
import { makeFixture } from '../fixtures.js';
import { inWorld } from '../world/inMemory.js';

/** Who runs which cell when, without running any. */

const { folder, student, jsonl } = makeFixture('study-sharing');
const config = join(folder, 'study.yaml');
writeFileSync(
  config,
  `options: {student: ${student}, data: ${jsonl}, sequence: 16}\naxes: {batch: [1, 2, 4, 8]}\nlength: {steps: 2}\n`,
);

interface Hooks {
  readonly run?: (job: Job) => 'taken' | undefined;
  readonly ended?: (job: Job) => void;
}

/** Shares cells out among as many ranks. @returns of each rank the batches of the cells it began, and its failure */
const shared = (size: number, { run, ended }: Hooks) =>
  inWorld(size, async (world) => {
    const plan = new StudyPlan(readStudyConfig(config));
    const begun: unknown[] = [];
    const made = (job: Job): EndedCell => {
      const { options } = resolveOptions(job.options);
      return { record: cellRecord(job, { key: job.id, options }, failure('not run')), isNew: true };
    };
    const sharing = new CellSharing(world, plan, {
      run: async (job) => {
        begun.push(job.axes.batch);
        return run?.(job) ?? made(job);
      },
      claims: async ({ id }) => [id],
      ended: async (job, { record }) => {
        plan.add(job, record);
        if (world.rank === 0) ended?.(job);
      },
      ...{ shouldStop: () => false, stop: () => {}, status: () => undefined, onRound: () => {} },
    });
    const told = await sharing.run();
    return { begun, failure: told?.message, left: plan.jobs.length };
  });

const test = suite('cells shared out');

test('a cell that another study has is left until the others have had their turn', async () => {
  const busy = new Map([
    [1, 2],
    [4, 1],
  ]);
  const run = ({ axes }: Job) => {
    const times = busy.get(Number(axes.batch)) ?? 0;
    busy.set(Number(axes.batch), times - 1);
    return times > 0 ? 'taken' : undefined;
  };
  const [rank] = await shared(1, { run });
  assert.equal(rank!.begun, [1, 2, 4, 8, 1, 4, 1]);
  assert.equal([rank!.failure, rank!.left], [undefined, 0]);
});

test('what fails when a cell has ended ends all ranks, and is told by its own', async () => {
  const ended = ({ axes }: Job) => {
    if (axes.batch === 2) throw new Error('ENOSPC: no space left on device');
  };
  const [alone] = await shared(1, { ended });
  assert.equal(alone, { begun: [1, 2], failure: 'ENOSPC: no space left on device', left: 2 });
  const [first, second] = await shared(2, { ended });
  assert.equal([first!.failure, second!.failure], ['ENOSPC: no space left on device', undefined]);
  assert.ok(first!.left > 0 && first!.left === second!.left);
});

test.run();
