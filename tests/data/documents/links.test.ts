import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';
import { open, textsOf } from './support.js';

/** Folders with links: each file once for each of its names in folders that are reached once. */

function folderOf(files: readonly string[], links: Readonly<Record<string, string>>): string {
  const folder = join(temporaryFolder('links'), 'data');
  for (const file of files) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), file);
  }
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(folder, name));
  return folder;
}

const CASES: Record<string, [files: string[], links: Record<string, string>, found: string[]]> = {
  'a link to itself': [['a.txt'], { self: '.' }, ['a.txt']],
  'two links to itself': [
    ['a.txt', 'b/c.txt'],
    { self: '.', me: '../data', 'b/up': '..' },
    ['a.txt', 'b/c.txt'],
  ],
  'a link to the folder around it': [['a.txt'], { up: '..' }, ['a.txt']],
  'links that lead in a circle': [['a.txt'], { one: 'two', two: 'one', 'x.txt': 'x.txt' }, ['a.txt']],
  'folders that link to each other': [
    ['a/a.txt', 'b/b.txt', 'c/c.txt'],
    { 'a/b': '../b', 'a/c': '../c', 'b/a': '../a', 'b/c': '../c', 'c/a': '../a', 'c/b': '../b' },
    ['a/a.txt', 'b/b.txt', 'c/c.txt'],
  ],
  'links to nothing, and to files': [['a.txt'], { 'b.txt': 'none', 'c.txt': 'a.txt' }, ['a.txt', 'a.txt']],
};

for (const [what, [files, links, found]] of Object.entries(CASES)) {
  test(what, async () => {
    const folder = folderOf(files, links);
    assert.equal(await textsOf(folder), found);
    assert.equal((await textsOf(join(folder, '**/*.txt'))).length, found.length);
  });
}

test('a folder elsewhere is read through a link, once', async () => {
  const elsewhere = folderOf(['e.txt', 'deep/f.txt'], {});
  assert.equal(await textsOf(folderOf(['a.txt'], { x: elsewhere, y: elsewhere })), [
    'a.txt',
    'deep/f.txt',
    'e.txt',
  ]);
});

test('a path that is a link to itself is refused', async () => {
  const folder = folderOf(['a.txt'], { 'x.txt': 'x.txt', loop: 'loop' });
  for (const name of ['x.txt', 'loop', 'loop/a.txt']) {
    assert.match(await inputErrorOf(() => open(join(folder, name))), /expected a text file, found nothing/);
  }
});

test.run();
