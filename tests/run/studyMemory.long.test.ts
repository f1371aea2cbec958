import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { studyFixture } from './studies.js';

/** A linear memory reserves so much address space, of whatever size it is: with 64-bit pointers, V8 checks no bounds. */
const RESERVED = 8 * 2 ** 30;
const STATUS = '/proc/self/status';
/** Three times as many as are left to be freed together. */
const CELLS = 24;

const addressSpace = () => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync(STATUS, 'utf8'))![1]) * 1024;

const { freshFolder, written } = studyFixture('study-memory');
const cells = suite('memory of a study');
const test = existsSync(STATUS) ? cells : (cells.skip as typeof cells);

test('does not grow with its cells: sessions that are closed are freed in every thread', async () => {
  const rates = Array.from({ length: CELLS }, (_, i) => `${i + 1}e-3`).join(', ');
  const config = written(`axes: {lr: [${rates}]}\nlength: {steps: 2}\nmeasures: {dynamics: false}\n`);
  const sizes: number[] = [];
  const run = study({ config, out: join(freshFolder(), 'out') });
  run.cells$.subscribe(() => sizes.push(addressSpace()));
  await run.finished;
  assert.is(sizes.length, CELLS);
  const most = (from: number) => Math.max(...sizes.slice(from, from + CELLS / 2));
  const grown = most(CELLS / 2) - most(0);
  assert.ok(
    grown < 5 * RESERVED,
    `${sizes.map((size) => Math.round(size / RESERVED))} memories after each cell`,
  );
});

cells.run();
