import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bfloat16ToFloat32, float32ToBfloat16 } from '#src/formats/float16.js';
import { isCovered, recordCoverage } from '#src/formats/teacherCache/coverage.js';
import { bytesPerToken, type CacheIdentity, TeacherCache } from '#src/formats/teacherCache.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

const root = temporaryFolder('teacher-cache');
const freshFolder = () => mkdtempSync(join(root, 'cache-'));

const identity: CacheIdentity = {
  ...{ format: 1, teacher: 'a'.repeat(16), tokenizer: 'b'.repeat(64), sequence: 4, width: 3 },
  ...{ dtype: 'f32', kernels: 'wasm' },
};
const key = (i: number) => i.toString(16).padStart(32, '0');
const states = (i: number, tokens = 1 + (i % 4)) =>
  Float32Array.from({ length: 3 * tokens }, (_, j) => Math.fround(Math.sin(i * 31 + j)));

/** A cache in which pieces 0 .. count - 1 are one segment. */
async function filled(count: number, folder = freshFolder(), what = identity): Promise<string> {
  const cache = await TeacherCache.open(folder, what);
  for (let i = 0; i < count; i++) cache.add(key(i), states(i));
  cache.flush();
  return folder;
}

function readAll(cache: TeacherCache, count: number): Float32Array[] {
  return Array.from({ length: count }, (_, i) => {
    const target = new Float32Array(states(i).length);
    cache.read(key(i), target);
    return target;
  });
}

const storage = suite('storage');

storage('what was added is there before it is flushed, after it, and for others', async () => {
  const folder = join(freshFolder(), 'not', 'there', 'yet');
  const cache = await TeacherCache.open(folder, identity);
  assert.not(cache.has(key(0)));
  for (let i = 0; i < 5; i++) cache.add(key(i), states(i));
  const expected = Array.from({ length: 5 }, (_, i) => states(i));
  assert.equal(readAll(cache, 5), expected);
  assert.not(existsSync(folder));
  cache.flush();
  assert.equal(readAll(cache, 5), expected);
  assert.equal(readAll(await TeacherCache.open(folder, identity), 5), expected);
  assert.equal(await TeacherCache.peek(folder), identity);
});

storage('bf16: rounded to nearest, in half the bytes', async () => {
  const what = { ...identity, dtype: 'bf16' as const };
  const cache = await TeacherCache.open(await filled(3, freshFolder(), what), what);
  assert.is(bytesPerToken(what), 6);
  readAll(cache, 3).forEach((found, i) => {
    const halves = new Uint16Array(found.length);
    float32ToBfloat16(states(i), halves);
    const expected = new Float32Array(found.length);
    bfloat16ToFloat32(halves, expected);
    assert.equal(found, expected);
  });
});

storage(
  'two writers of one folder: each sees what the other published, pieces that both have do no harm',
  async () => {
    const folder = freshFolder();
    const [one, other] = [
      await TeacherCache.open(folder, identity),
      await TeacherCache.open(folder, identity),
    ];
    one.add(key(0), states(0));
    one.add(key(1), states(1));
    other.add(key(1), states(1));
    other.add(key(2), states(2));
    one.flush();
    other.flush();
    assert.equal(readAll(other, 3), [states(0), states(1), states(2)]);
    one.refresh();
    assert.equal(readAll(one, 3), [states(0), states(1), states(2)]);
    assert.is(readdirSync(folder).length, 2);
  },
);

storage('the same pieces are the same file, whoever writes them in whatever order', async () => {
  const folder = await filled(4);
  const cache = await TeacherCache.open(freshFolder(), identity);
  for (const i of [2, 0, 3, 1]) cache.add(key(i), states(i));
  cache.flush();
  assert.equal(cache.segments, readdirSync(folder));
});

storage('what a killed writer left is no part of it, and is taken away when it is old', async () => {
  const folder = await filled(2);
  const [old, young] = ['.x.1-1.unfinished', '.x.2-1.unfinished'].map((name) => join(folder, name));
  for (const path of [old!, young!]) writeFileSync(path, 'half');
  utimesSync(old!, 1, 1);
  const cache = await TeacherCache.open(folder, identity);
  assert.equal(readAll(cache, 2), [states(0), states(1)]);
  cache.add(key(9), states(9));
  cache.flush();
  assert.equal([existsSync(old!), existsSync(young!)], [false, true]);
});

storage('a text is covered as long as the segments are there', async () => {
  const folder = await filled(2);
  const { segments } = await TeacherCache.open(folder, identity);
  recordCoverage(folder, 'text', segments);
  assert.ok(isCovered(folder, 'text', segments));
  assert.not(isCovered(folder, 'other', segments));
  assert.not(isCovered(folder, 'text', []));
  writeFileSync(join(folder, 'covered-text.json'), '{"segments":');
  assert.match(
    await inputErrorOf(() => isCovered(folder, 'text', segments)),
    /covered-text\.json: .*; delete the file/,
  );
});

storage.run();

const damage = suite('damage');

damage('each byte of a segment, changed in turn, is found: file and place, one line', async () => {
  const folder = await filled(2);
  const [name] = readdirSync(folder);
  const path = join(folder, name!);
  const good = readFileSync(path);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at]! ^= 1 << (at % 8);
    writeFileSync(path, bad);
    const message = await inputErrorOf(async () => readAll(await TeacherCache.open(folder, identity), 2));
    assert.ok(message.startsWith(path) && !message.includes('\n'), `byte ${at}: ${message}`);
    assert.match(message, 'delete the file: what it held is computed again', `byte ${at}`);
  }
});

damage('a segment cut short, grown, emptied, or under another name', async () => {
  const folder = await filled(3);
  const [name] = readdirSync(folder);
  const path = join(folder, name!);
  const good = readFileSync(path);
  for (const bytes of [
    good.subarray(0, -1),
    good.subarray(0, 7),
    Buffer.alloc(0),
    Buffer.concat([good, good]),
  ]) {
    writeFileSync(path, bytes);
    assert.match(
      await inputErrorOf(() => TeacherCache.open(folder, identity)),
      /^.*: expected a segment .*; delete the file/,
    );
  }
  rmSync(path);
  writeFileSync(join(folder, `${'0'.repeat(16)}.safetensors`), good);
  assert.match(await inputErrorOf(() => TeacherCache.open(folder, identity)), 'its header was changed');
});

const others: Partial<CacheIdentity>[] = [
  ...[{ teacher: 'c' }, { tokenizer: 'd' }, { sequence: 5 }, { width: 4 }],
  ...[{ dtype: 'bf16' as const }, { kernels: 'webgpu f32' }],
];

for (const change of others) {
  const [[name, value]] = Object.entries(change) as [[string, unknown]];
  damage(`a cache of another ${name} is refused`, async () => {
    const folder = await filled(1);
    const message = await inputErrorOf(() => TeacherCache.open(folder, { ...identity, ...change }));
    assert.match(message, `${value}`);
    assert.match(
      message,
      /: expected hidden states of .*, found those of .*; give what the cache was filled with/,
    );
  });
}

damage('a folder into which another cache was put meanwhile: nothing is added to it', async () => {
  const folder = freshFolder();
  const cache = await TeacherCache.open(folder, identity);
  cache.add(key(0), states(0));
  await filled(1, folder, { ...identity, teacher: 'e' });
  assert.match(await inputErrorOf(() => cache.flush()), 'found those of e;');
  assert.is(readdirSync(folder).length, 1);
  assert.equal(readAll(cache, 1), [states(0)]);
});

damage.run();
