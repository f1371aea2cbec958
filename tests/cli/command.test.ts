import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { commandOf } from '#src/cli/command.js';
import { EVALUATE_FLAGS } from '#src/options/evaluate.js';
import { MERGE_FLAGS } from '#src/options/merge.js';
import { inputErrorOf } from '../inputErrors.js';

/** Command lines that say a thing twice, or too much. */

const texts = { name: 'evaluate', description: '', usage: [''], examples: [] };
const parsed = (args: readonly string[], table: Parameters<typeof commandOf>[1] = EVALUATE_FLAGS) =>
  commandOf(texts, table).parse(args, { from: 'user' }).opts();

const test = suite('command');

test('of an option that takes one value the last one counts, so that a script may be told another', () => {
  const { limit, json } = parsed(['--limit=5', '--json', '--limit', '50', '--json']);
  assert.equal({ limit, json }, { limit: '50', json: true });
});

test('options that may be repeated have all of their values', () => {
  const { adapter } = parsed(['--adapter', 'a', '--adapter', 'b:0.5', 'a'], MERGE_FLAGS);
  assert.equal(adapter, ['a', 'b:0.5', 'a']);
});

test('a switch has no value', async () => {
  assert.is(
    await inputErrorOf(() => parsed(['--json=true'])),
    '--json: expected it without a value, found one; give --json alone, or leave it out',
  );
});

test.run();
