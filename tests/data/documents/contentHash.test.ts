import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hashTexts, rangesOf } from '#src/data/documents/contentHash.js';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';

const folder = temporaryFolder('content-hash');
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const hashes = suite('hashes of texts');

hashes('tell every byte of every local file, by its path', async () => {
  const [a, b] = [write('a.txt', Buffer.alloc(5 * 2 ** 20, 1)), write('b.txt', 'short')];
  const paths = [`${a}:0.7`, `${b}:0.3`, 'hf://datasets/owner/name/c.txt:1'];
  const before = await hashTexts(paths);
  assert.equal(Object.keys(before), [a, b]);
  assert.equal(await hashTexts(paths), before);
  for (const at of [0, 1, 4096, 2 ** 22 - 1, 2 ** 22, 3_333_333, 5 * 2 ** 20 - 1]) {
    const bytes = readFileSync(a);
    bytes[at] = 0;
    writeFileSync(a, bytes);
    const after = await hashTexts(paths);
    assert.is.not(after[a], before[a], `byte ${at}`);
    assert.is(after[b], before[b]);
    bytes[at] = 1;
    writeFileSync(a, bytes);
  }
});

hashes('are one for more than 16 files', async () => {
  mkdirSync(join(folder, 'many'));
  for (let i = 0; i < 17; i++) write(`many/${i}.txt`, `text ${i}`);
  const before = await hashTexts([join(folder, 'many')]);
  assert.equal(Object.keys(before), ['17 files']);
  write('many/3.txt', 'text x');
  assert.is.not((await hashTexts([join(folder, 'many')]))['17 files'], before['17 files']);
});

hashes('of a file that is gone: one line', async () => {
  assert.match(
    await inputErrorOf(() => hashTexts([join(folder, 'nowhere.txt')])),
    'expected a text file, found nothing',
  );
});

hashes.run();

const ranges = suite('what is hashed');
const GIB = 2 ** 30;

ranges('all of it up to 4 GiB', () => {
  assert.equal([...rangesOf(7, 4 * GIB)], [[0, 7]]);
});

ranges('of more, blocks that leave gaps no longer than promised, 4 GiB in all', () => {
  for (const [size, total] of [
    [8 * GIB, 8 * GIB],
    [5 * GIB + 1, 64 * GIB],
    [70_000, 1024 * GIB],
  ] as const) {
    let [end, hashed] = [0, 0];
    for (const [from, to] of rangesOf(size, total)) {
      assert.ok(from - end < (2 ** 16 * total) / (4 * GIB), `a gap of ${from - end}`);
      end = Math.max(end, to);
      hashed += to - from;
    }
    assert.is(end, size);
    assert.ok(hashed <= 4 * GIB * (size / total) + 2 ** 18, `${hashed} bytes`);
  }
});

ranges.run();
