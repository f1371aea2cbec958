import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { TrainInput } from '#src/options/train.js';
import type { Fixture } from '../fixtures.js';
import { adapterBytes, type Ending, flags, runProgram, timelessMetrics } from './process.js';

/** Runs that are started at the same time. */

const options = ({ student, jsonl }: Fixture): TrainInput => ({
  ...{
    student,
    data: [jsonl],
    batch: 2,
    sequence: 16,
    shuffleRows: 16,
    steps: 2,
    evalFraction: 0,
    threads: 1,
  },
});

/** `count` runs without --out get a folder each, with all that belongs to it. */
export async function startTogether(fixture: Fixture, count: number): Promise<void> {
  const cwd = mkdtempSync(join(fixture.folder, 'together-'));
  const start = (seed: number) => runProgram('train', flags({ ...options(fixture), seed }), { cwd });
  const endings = await Promise.all(Array.from({ length: count }, (_, seed) => start(seed)));
  for (const { code, stderr } of endings) assert.is(code, 0, stderr);
  const folders = readdirSync(join(cwd, 'runs')).sort();
  assert.equal(
    folders,
    Array.from({ length: count }, (_, i) => String(i + 1).padStart(4, '0')),
  );
  const seeds = folders.map((folder) => {
    const [first, ...others] = timelessMetrics(join(cwd, 'runs', folder)).map((line) => JSON.parse(line));
    assert.equal(
      others.map(({ type }) => type),
      ['step', 'step', 'checkpoint', 'end'],
    );
    assert.ok(adapterBytes(join(cwd, 'runs', folder)).length > 0);
    return first.options.seed as number;
  });
  assert.equal(
    seeds.sort(),
    Array.from({ length: count }, (_, seed) => seed),
  );
}

/** Of two runs with one --out, one runs and the other is refused. */
export async function startInOneFolder(fixture: Fixture): Promise<void> {
  const cwd = mkdtempSync(join(fixture.folder, 'together-'));
  const given = { ...options(fixture), out: 'deep/run' };
  const start = () => runProgram('train', flags(given), { cwd });
  const endings = await Promise.all([start(), start()]);
  const [done, refused] = endings.sort((a, b) => a.code! - b.code!) as [Ending, Ending];
  assert.equal([done.code, refused.code], [0, 2], `${done.stderr}\n${refused.stderr}`);
  assert.match(
    refused.stderr,
    /^error: --out: expected a folder (that no other run is using|without a run), found one/,
  );
  assert.is(timelessMetrics(join(cwd, 'deep/run')).length, 5);
}
