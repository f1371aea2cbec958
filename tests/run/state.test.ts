import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TrainInput, train } from 'rivulet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { asOfVersion01 } from './oldRuns.js';

/** A state.json of a form that is none, in a checkpoint of version 0.1.0: those have no hashes that would tell. */

const fixture = makeFixture('state');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'state-'));
const base: TrainInput = {
  ...{ student: fixture.student, data: [fixture.text], batch: 4, sequence: 16, shuffleRows: 16, steps: 1 },
  ...{ evalFraction: 0, threads: 1 },
};

/** What is in a folder: contents by path. */
const contentsOf = (folder: string): Map<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path, readFileSync(path, 'base64')]),
  );

const run = join(freshFolder(), 'run');
await train({ ...base, out: run }).finished;
asOfVersion01(run, join(run, 'checkpoints/step-00000001'));

for (const [what, edit, expected] of [
  ['no cursor', (state) => delete state.cursor, /cursor: .*found nothing; /],
  ['a cursor of nothing', (state) => (state.cursor = null), /cursor: .*found null; /],
  [
    'a negative row',
    (state) => ((state.cursor as Record<string, unknown>).row = -1),
    /cursor\.row: .*found -1; /,
  ],
  [
    'half a pair',
    (state) => ((state.cursor as Record<string, unknown>).pair = 0.5),
    /cursor\.pair: .*found 0\.5; /,
  ],
  [
    'a place without files',
    (state) => ((state.cursor as Record<string, unknown>).place = { sources: [], taken: [] }),
    /cursor\.place\.files: .*found nothing; /,
  ],
  ['something more', (state) => ((state.cursor as Record<string, unknown>).x = 1), /cursor: .*; /],
  ['a step that is text', (state) => (state.step = '1'), /step: expected .*, found "1"; /],
] satisfies [string, (state: Record<string, unknown>) => unknown, RegExp][]) {
  test(`${what}: one line with the file, nothing written`, async () => {
    const out = join(freshFolder(), 'run');
    cpSync(run, out, { recursive: true });
    const checkpoint = join(out, 'checkpoints/step-00000001');
    const file = join(checkpoint, 'state.json');
    const state = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    edit(state);
    writeFileSync(file, JSON.stringify(state));
    const before = contentsOf(out);
    const message = await inputErrorOf(() => train({ resume: true, out } as TrainInput).finished);
    assert.ok(message.startsWith(`${file}: `), message);
    assert.match(message, expected);
    assert.ok(message.endsWith(`; delete ${checkpoint}`), message);
    assert.equal(contentsOf(out), before);
  });
}

test.run();
