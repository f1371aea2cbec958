import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/openDevice.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { teacherModule } from '#src/model/programs.js';
import { loadWeights, sourcesOf } from '#src/model/weights.js';
import { makeFixture } from '../fixtures.js';
import { projectRoot } from '../support.js';

/** On the CPU, the bits of a token's hidden state are the same wherever in a micro-batch its document lies. */

const { teacher } = makeFixture('placement');
const MODELS = { made: teacher, miniature: join(projectRoot, 'miniature/teacher') };
/** Longer than two blocks of queries, and no multiple of a panel. */
const PIECE = 61;
const SEQUENCE = 84;

const ids = (count: number, seed: number) =>
  Uint32Array.from({ length: count }, (_, i) => 3 + ((i * i * 7 + i * 13 + seed * 101) % 250));

/** Hidden states [PIECE, D] of one piece that lies at a slot of a row, behind other pieces and before some. */
async function hiddenAt(
  folder: string,
  { rows, row, at, threads }: Record<'rows' | 'row' | 'at' | 'threads', number>,
) {
  const device = await openDevice('wasm', { threads });
  const files = openModelFiles(folder);
  const { module, weights, ...values } = teacherModule(files, { rows, sequence: SEQUENCE });
  const session = await device.compile(module);
  await loadWeights(session, sourcesOf(files), weights);
  const tokens = ids(rows * SEQUENCE, at + row + 1);
  const positions = Uint32Array.from(tokens, (_, i) => (i % SEQUENCE) % 9);
  const first = row * SEQUENCE + at;
  tokens.set(ids(PIECE, 0), first);
  for (let i = at; i < SEQUENCE; i++) positions[row * SEQUENCE + i] = (i - at) % PIECE;
  await session.write(values.tokens, tokens);
  await session.write(values.positions, positions);
  await session.run('forward');
  const { hiddenSize: width } = files.config;
  const hidden = (await session.read(values.hidden, first * width, PIECE * width)) as Float32Array;
  await device.close();
  return hidden;
}

const placement = suite('placement');

for (const [name, folder] of Object.entries(MODELS)) {
  placement(`of a document in a row, and rows in a micro-batch: ${name}`, async () => {
    const expected = await hiddenAt(folder, { rows: 1, row: 0, at: 0, threads: 1 });
    assert.ok(expected.some((x) => x !== 0));
    for (let at = 0; at <= SEQUENCE - PIECE; at += at < 9 ? 1 : 7) {
      const rows = 1 + (at % 3);
      const found = await hiddenAt(folder, { rows, row: rows - 1, at, threads: 1 + (at % 2) });
      const other = found.findIndex((x, i) => !Object.is(x, expected[i]));
      assert.is(
        other,
        -1,
        `at slot ${at} of row ${rows}: element ${other} is ${found[other]}, not ${expected[other]}`,
      );
    }
  });
}

placement.run();
