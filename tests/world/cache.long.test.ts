import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CacheInput, type CacheProgress, cacheTeacher, type FilledCache } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, RunError } from '#src/base/errors.js';
import { listSegments } from '#src/formats/teacherCache/segments.js';
import { ToldElsewhere } from '#src/world/together.js';
import type { World } from '#src/world/world.js';
import { makeFixture, makeJsonl } from '../fixtures.js';
import { inWorld } from './inMemory.js';
import { piecesIn } from './pieces.js';

/** Caches that several ranks fill together. */

const fixture = makeFixture('ranks-cache');
const freshFolder = () => mkdtempSync(join(fixture.folder, 'cache-'));
/** With documents that come again, in other micro-batches: nobody stores them twice. */
const text = join(fixture.folder, 'repeated.jsonl');
writeFileSync(text, makeJsonl(5, 300) + makeJsonl(7, 100) + makeJsonl(5, 300));
const options = {
  ...{ model: fixture.teacher, data: [text], sequence: 16, evalFraction: 0 },
  ...{ threads: 1, device: 'wasm' as const },
};

const fill = (out: string, size: number, more: (world: World) => Partial<CacheInput> = () => ({})) =>
  inWorld(size, async (world) => {
    const progress: CacheProgress[] = [];
    const hooks = { onProgress: (told: CacheProgress) => progress.push(told) };
    return { filled: await cacheTeacher({ ...options, out, ...more(world) }, hooks, world), progress };
  });

const timeless = ({ folder: _, bytes: __, seconds: ___, ...filled }: FilledCache) => filled;

/** What each rank ends with. */
const failures = (size: number, input: (world: World) => CacheInput, signal?: AbortSignal) =>
  inWorld(size, (world) =>
    cacheTeacher(input(world), world.rank === 1 ? { signal } : {}, world).then(
      () => undefined,
      (error: Error) => error,
    ),
  );

const alone = freshFolder();
const [one] = await fill(alone, 1);

const test = suite('a cache over ranks');

for (const size of [2, 3]) {
  test(`${size} ranks store what one stores, each piece once, and count what it counts`, async () => {
    const out = freshFolder();
    const ranks = await fill(out, size);
    for (const { filled } of ranks) assert.equal(timeless(filled), timeless(one!.filled));
    const [found, expected] = [piecesIn(out), piecesIn(alone)];
    assert.is(found.count, expected.count);
    assert.is(found.count, found.pieces.size);
    assert.equal([...found.pieces.keys()], [...expected.pieces.keys()]);
    for (const [key, bytes] of expected.pieces) assert.ok(bytes.equals(found.pieces.get(key)!), key);
    assert.is(listSegments(out).length, size, 'each rank has stored a part');
    const last = ranks[0]!.progress.at(-1)!;
    assert.equal([last.tokens, last.teacherTokens], [one!.filled.tokens, one!.filled.teacherTokens]);
    const { tokens, teacherTokens } = await cacheTeacher({ ...options, out });
    assert.equal([tokens, teacherTokens], [0, 0], 'all of it is known to be there');
  });
}

test('what is there is not computed again, whoever had stored it', async () => {
  const [out, oneAfter] = [freshFolder(), freshFolder()];
  await fill(out, 3);
  rmSync(join(out, listSegments(out)[0]!));
  cpSync(out, oneAfter, { recursive: true });
  const [two] = await fill(out, 2);
  const [expected] = await fill(oneAfter, 1);
  assert.equal(timeless(two!.filled), timeless(expected!.filled));
  assert.ok(two!.filled.teacherTokens > 0 && two!.filled.teacherTokens < two!.filled.tokens);
  assert.equal(piecesIn(out), piecesIn(alone));
  const [again] = await fill(out, 4);
  assert.equal([again!.filled.tokens, again!.filled.teacherTokens], [0, 0]);
});

test('more ranks than micro-batches: some have nothing to do', async () => {
  const tiny = join(fixture.folder, 'tiny.jsonl');
  writeFileSync(tiny, makeJsonl(3, 1));
  const [out, expected] = [freshFolder(), freshFolder()];
  const ranks = await fill(out, 4, () => ({ data: [tiny] }));
  const [own] = await fill(expected, 1, () => ({ data: [tiny] }));
  for (const { filled } of ranks) assert.equal(timeless(filled), timeless(own!.filled));
  assert.equal(readdirSync(out).sort(), readdirSync(expected).sort(), 'the very same files');
});

test('what is wrong is told on one rank, and nothing is written', async () => {
  const out = join(freshFolder(), 'out');
  const missing = await failures(3, () => ({ ...options, out, model: 'no/such/model' }));
  assert.instance(missing[0], InputError);
  assert.instance(missing[1], ToldElsewhere);
  const differing = await failures(3, ({ rank }) => ({
    ...{ ...options, out, model: rank === 1 ? fixture.student : fixture.teacher },
  }));
  assert.instance(differing[1], InputError);
  assert.match(
    differing[1]!.message,
    /^teacher: expected \w+ on all ranks, as on rank 0 \(here\), found \w+ on rank 1/,
  );
  assert.instance(differing[0], ToldElsewhere);
  assert.instance(differing[2], ToldElsewhere);
  const empty = join(fixture.folder, 'empty.jsonl');
  writeFileSync(empty, '{"text": ""}\n');
  const nothing = await failures(2, () => ({ ...options, out, data: [empty] }));
  assert.match(nothing[0]!.message, /expected .*found none/);
  assert.instance(nothing[1], ToldElsewhere);
  assert.equal(readdirSync(join(out, '..')), []);
});

test('a signal to one rank ends all, and what is there counts the next time', async () => {
  const out = freshFolder();
  const stop = new AbortController();
  stop.abort();
  const stopped = await failures(3, () => ({ ...options, out }), stop.signal);
  const told = stopped.filter((error) => error instanceof RunError);
  assert.is(told.length, 1);
  assert.match(told[0]!.message, /found a signal to stop/);
  assert.is(stopped.filter((error) => error instanceof ToldElsewhere).length, 2);
  assert.not.ok(readdirSync(out).some((name) => name.startsWith('covered')));
  const [after] = await fill(out, 2);
  assert.is(after!.filled.tokens, one!.filled.tokens);
  assert.is(piecesIn(out).pieces.size, piecesIn(alone).pieces.size);
});

test('a segment that is damaged on the way is named by one rank', async () => {
  const out = freshFolder();
  await fill(out, 2);
  for (const name of readdirSync(out).filter((file) => file.startsWith('covered'))) {
    writeFileSync(join(out, name), JSON.stringify({ segments: ['none'] }));
  }
  const [name] = listSegments(out);
  const path = join(out, name!);
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  const broken = await failures(3, () => ({ ...options, out }));
  const told = broken.filter((error) => error instanceof InputError);
  assert.is(told.length, 1);
  assert.match(told[0]!.message, /expected \d+ bytes as they were written, found others/);
});

test.run();
