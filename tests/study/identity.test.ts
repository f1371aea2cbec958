import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { Identities } from '#src/study/identity.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What tells cells apart. */

const { folder, student, jsonl } = makeFixture('study-identity');
const options = { student, data: [jsonl], sequence: 16 };
const keyOf = (more: object) => new Identities('wasm').keyOf(resolveOptions({ ...options, ...more }).options);

const test = suite('keys of cells');

test('the type that a whole model is saved in is part of what is measured of it', async () => {
  const keys = await Promise.all(
    [undefined, 'f32', 'bf16'].map((saveDtype) => keyOf({ trainable: 'all', saveDtype })),
  );
  assert.is(new Set(keys).size, 3);
  assert.is(await keyOf({ keep: 7, threads: 3 }), await keyOf({}), 'how a run is carried out is not');
});

test('a model that is made from a config has the tokenizer beside it', async () => {
  const made = (name: string, change = (text: string) => text) => {
    const beside = join(folder, name);
    cpSync(student, beside, { recursive: true });
    writeFileSync(
      join(beside, 'tokenizer.json'),
      change(readFileSync(join(student, 'tokenizer.json'), 'utf8')),
    );
    return { student: undefined, fromConfig: join(beside, 'config.json'), trainable: 'all' };
  };
  const key = await keyOf(made('beside'));
  assert.is(await keyOf(made('again')), key);
  assert.is.not(await keyOf(made('other', (text) => `${text}\n`)), key);
});

test('data of tasks count by their contents, wherever they are', async () => {
  const made = (name: string, text: string) => {
    mkdirSync(join(folder, name, 'below'), { recursive: true });
    writeFileSync(join(folder, name, 'below', 'a.jsonl'), text);
    return join(folder, name);
  };
  const key = (taskData: string) => keyOf({ evalTasks: 'arc_challenge', taskData });
  const [one, same, other] = [made('one', 'text'), made('same', 'text'), made('other', 'texts')];
  assert.is(await key(one), await key(same));
  assert.is(await key(`${one}/`), await key(same));
  assert.is.not(await key(one), await key(other));
  mkdirSync(join(folder, 'linked'));
  symlinkSync(join(one, 'below'), join(folder, 'linked', 'below'));
  assert.is(await key(join(folder, 'linked')), await key(one));
  symlinkSync('.', join(folder, 'linked', 'itself'));
  assert.is(await key(join(folder, 'linked')), await key(one));
  assert.match(
    await inputErrorOf(() => key(join(folder, 'none'))),
    /--task-data: expected a folder .*nothing/,
  );
});

test.run();
