import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheText } from '#src/cli/cacheTexts.js';
import { CACHE_FLAGS } from '#src/options/cache.js';
import { flagOf, optionOf } from '#src/options/table.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';

/** What is said of a filled cache: the command that trains over it. */

const FILLED = { folder: 'there', dtype: 'f32', tokens: 9, teacherTokens: 9, bytes: 36, seconds: 1 } as const;

/** Of the options that both programs have, those that have no say in which pieces of a text there are. */
const OWN = ['teacherCacheDtype', 'out', 'tune', 'threads'];

test('train is told all that decides which pieces a text has', () => {
  const given = {
    model: 'T',
    out: 'there',
    data: ['a.jsonl', 'b c.txt'],
    eos: true,
    qmsum: 'tokens=100,queries=all',
  };
  const flags = Object.keys(CACHE_FLAGS).filter(
    (name) => optionOf(TRAIN_OPTIONS, name) && !OWN.includes(name),
  );
  const others = Object.fromEntries(
    flags.filter((name) => !(name in given)).map((name) => [name, `of-${name}`]),
  );
  const text = cacheText({ ...others, ...given } as unknown as Parameters<typeof cacheText>[0], FILLED);
  const command = text.split('\n').at(-1)!;
  for (const name of Object.keys(others)) assert.match(command, ` ${flagOf(name)} of-${name}`);
  assert.match(command, " --data a.jsonl --data 'b c.txt'");
  assert.match(command, ' --qmsum tokens=100,queries=all');
  assert.match(command, ' --eos ');
  assert.match(command, / --student STUDENT --teacher T .* --teacher-cache there$/);
  for (const name of [...OWN, 'json', 'model']) assert.not.match(command, ` ${flagOf(name)} `);
});

test.run();
