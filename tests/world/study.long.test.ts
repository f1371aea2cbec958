import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CellRecord, type StudyProgress, type StudyRecord, study } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { ToldElsewhere } from '#src/world/together.js';
import type { World } from '#src/world/world.js';
import { studyFixture } from '../run/studies.js';
import { inWorld } from './inMemory.js';

/** Studies whose cells several ranks share: in one process, with folders of their own where rank 0 alone may write. */

const { freshFolder, written } = studyFixture('ranks-study');

/** What of a study depends on nothing but its file. */
function timeless(out: string): unknown {
  const { seconds: _, ...record }: StudyRecord = JSON.parse(readFileSync(join(out, 'cells.json'), 'utf8'));
  return { ...record, cells: record.cells.map(({ seconds: __, command: ___, ...cell }) => cell) };
}

const outOf = (folder: string, { rank }: Pick<World, 'rank'>) => join(folder, `rank-${rank}`);

interface Watched {
  readonly cells: CellRecord[];
  readonly progress: StudyProgress[];
  readonly notes: string[];
}

/** Runs a study over as many ranks, each with an `--out` of its own and one folder of cells. @param stopAt on rank 1 */
function run(config: string, folder: string, size: number, stopAt = Number.POSITIVE_INFINITY) {
  return inWorld(size, async (world) => {
    const running = study({ config, out: outOf(folder, world), cells: join(folder, 'cells') }, world);
    const watched: Watched = { cells: [], progress: [], notes: [] };
    running.cells$.subscribe((cell) => {
      watched.cells.push(cell);
      if (world.rank === 1 && watched.cells.length === stopAt) running.stop();
    });
    running.progress$.subscribe((progress) => watched.progress.push(progress));
    running.notes$.subscribe((note) => watched.notes.push(note));
    return { result: await running.finished, ...watched };
  });
}

/** What each rank's study fails with. */
const failures = (size: number, input: (world: World) => { config: string; out: string; cells: string }) =>
  inWorld(size, (world) =>
    study(input(world), world).finished.then(
      () => undefined,
      (error: Error) => error,
    ),
  );

const SMALL =
  'axes: {batch: [2, 4], lr: {from: 1.0e-2, points: 3, extensions: 1}}\n' +
  'seeds: {everywhere: 1, best: 2}\nlength: {tokens: 128}\ncurve: 2\ncheckpoints: 2\n';
const small = written(SMALL);
const alone = freshFolder();

const test = suite('a study over ranks');

test('2 and 3 ranks come to what one comes to, and rank 0 alone writes of the study', async () => {
  const [{ result, cells: ofOne }] = (await run(small, alone, 1)) as [Awaited<ReturnType<typeof run>>[0]];
  assert.ok(result.finished);
  for (const size of [2, 3]) {
    const folder = freshFolder();
    const ranks = await run(small, folder, size);
    assert.equal(timeless(outOf(folder, { rank: 0 })), timeless(outOf(alone, { rank: 0 })));
    assert.equal(readdirSync(folder).sort(), ['cells', 'rank-0']);
    for (const rank of ranks) {
      assert.equal(rank.result.cells, result.cells);
      assert.equal(
        new Set(rank.cells.map(({ key }) => key)),
        new Set(ofOne.map(({ key }) => key)),
        'all hear of all cells',
      );
      assert.is(rank.cells.length, ofOne.length, 'none is run twice');
    }
    const running = ranks[0]!.progress.flatMap((progress) => progress.running.map(({ rank }) => rank));
    assert.equal(new Set(running).size, size, 'every rank has run cells, and rank 0 tells of all');
    for (const { key } of ofOne) {
      const made = (of: string) =>
        readFileSync(join(of, 'cells', key, 'adapter', 'adapter_model.safetensors'));
      assert.equal(made(folder), made(alone));
    }
  }
});

test('stopped on one rank, all stop, and it goes on with any number of ranks', async () => {
  const folder = freshFolder();
  const stopped = await run(small, folder, 3, 2);
  for (const { result } of stopped) {
    assert.not.ok(result.finished);
    assert.ok(result.remaining > 0);
  }
  const again = await run(small, folder, 2);
  assert.ok(again.every(({ result }) => result.finished));
  assert.equal(timeless(outOf(folder, { rank: 0 })), timeless(outOf(alone, { rank: 0 })));
});

test('cells that diverge and cells that fail are what they are alone', async () => {
  const config = written(
    'axes: {targetModules: [q_proj, nothing_proj], lr: [1.0e-3, 1.0e+38]}\n' +
      'length: {steps: 4}\ncurve: 1\ncheckpoints: 1\n',
  );
  const [one, two] = [freshFolder(), freshFolder()];
  await run(config, one, 1);
  const ranks = await run(config, two, 2);
  assert.equal(timeless(outOf(two, { rank: 0 })), timeless(outOf(one, { rank: 0 })));
  const statuses = ranks[0]!.cells.map(({ status }) => status).sort();
  assert.equal(statuses, ['diverged', 'done', 'failed', 'failed']);
  for (const { result } of ranks) assert.is(result.failed, 2);
});

test('branches, also where the checkpoint that they begin in has gone', async () => {
  const text = 'axes: {lr: [1.0e-3, 1.0e-2]}\nlength: {steps: 4}\ncurve: 1\ncheckpoints: 2\n';
  const config = written(`${text}branches: {factors: [1, 2, 4], tokens: 2048}\n`);
  const [one, two, three] = [freshFolder(), freshFolder(), freshFolder()];
  await run(config, one, 1);
  await run(config, two, 3);
  const expected = timeless(outOf(one, { rank: 0 }));
  assert.equal(timeless(outOf(two, { rank: 0 })), expected);
  await run(written(text), three, 1);
  rmSync(outOf(three, { rank: 0 }), { recursive: true });
  const ranks = await run(config, three, 3);
  assert.ok(ranks.every(({ result }) => result.finished && result.failed === 0));
  assert.equal(timeless(outOf(three, { rank: 0 })), expected);
});

test('a cell that somebody changed is set aside by the rank that has it, and rank 0 says so', async () => {
  const folder = freshFolder();
  const [{ cells }] = (await run(small, folder, 1)) as [Awaited<ReturnType<typeof run>>[0]];
  for (const { key } of cells) {
    const path = join(folder, 'cells', key, 'metrics.jsonl');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"step"', '"Step"'));
  }
  const ranks = await run(small, folder, 2);
  const { length } = ranks[0]!.notes.filter((note) => note.includes('set aside'));
  assert.is(length, cells.length, ranks[0]!.notes.join('\n'));
  assert.equal(ranks[1]!.notes, []);
  assert.equal(timeless(outOf(folder, { rank: 0 })), timeless(outOf(alone, { rank: 0 })));
});

test('what is wrong is told on one rank, and nothing is written', async () => {
  const folder = freshFolder();
  const wrong = written('axes: {bacth: [2]}\nlength: {steps: 2}\n');
  const cells = join(folder, 'cells');
  const unknown = await failures(3, (world) => ({ config: wrong, out: outOf(folder, world), cells }));
  assert.instance(unknown[0], InputError);
  assert.is(unknown[0]!.message, 'axes: unknown option bacth; did you mean batch?');
  assert.instance(unknown[1], ToldElsewhere);
  assert.instance(unknown[2], ToldElsewhere);
  const other = written('axes: {lr: [1.0e-3]}\nlength: {steps: 3}\ncurve: 1\ncheckpoints: 1\n');
  const same = written('axes: {lr: [1.0e-3]}\nlength: {steps: 2}\ncurve: 1\ncheckpoints: 1\n');
  const differing = await failures(3, (world) => ({
    ...{ config: world.rank === 2 ? other : same, out: outOf(folder, world), cells },
  }));
  assert.instance(differing[2], InputError);
  assert.match(
    differing[2]!.message,
    /^models, texts and options \(hash\): expected \w+ on all ranks, as on rank 0 \(here\), found \w+ on rank 2/,
  );
  assert.instance(differing[0], ToldElsewhere);
  assert.equal(readdirSync(folder), []);
  assert.not.ok(existsSync(cells));
});

test.run();
