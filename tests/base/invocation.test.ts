import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calling, quoted } from '#src/base/invocation.js';

test('hints begin as the command did that gives them', () => {
  const installed = '/usr/lib/node_modules/.bin/rivulet';
  const programs: [script: string, env: NodeJS.ProcessEnv, command: string][] = [
    [join(process.cwd(), 'dist/evaluate.js'), {}, 'node dist/train.js'],
    ['/opt/rivulet/dist/train.js', {}, 'node /opt/rivulet/dist/train.js'],
    ['/opt/my tools/dist/train.js', {}, "node '/opt/my tools/dist/train.js'"],
    [installed, {}, 'rivulet train'],
    [installed, { npm_command: 'exec' }, 'npx rivulet train'],
    [join(process.cwd(), 'dist/rivulet.js'), {}, 'node dist/rivulet.js train'],
    ['/home/someone/sweep.js', {}, 'npx rivulet train'],
    ['', {}, 'npx rivulet train'],
  ];
  for (const [script, env, command] of programs) assert.is(calling('train', script, env), command);
});

test('arguments are quoted where a shell would change them', () => {
  for (const plain of ['runs/0001', 'owner/name@main', 'a.jsonl:0.7', '--out=x'])
    assert.is(quoted(plain), plain);
  assert.is(quoted('my runs/1'), "'my runs/1'");
  assert.is(quoted("it's"), "'it'\\''s'");
  assert.is(quoted('$HOME/*;ls'), "'$HOME/*;ls'");
  assert.is(quoted(''), "''");
});

test.run();
