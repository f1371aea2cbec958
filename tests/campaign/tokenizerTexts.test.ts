import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { both, expectSameIds, type Pair } from '../data/differential.js';
import { FAMILIES } from '../data/families.js';
import { tokenizerFolder } from '../data/vocabularies.js';
import { sharedPath } from '../support.js';

/** All text there is against the Hugging Face library, and texts whose time must grow with their length only. */

const test = suite('tokenizers: texts');
const SEED = 77;
const REAL_LLAMA3 = 'the real Llama 3';
const shared = sharedPath('data');
const run = shared === undefined ? test.skip : test;

function folder(name: string): string {
  if (name === REAL_LLAMA3) return join(shared!, 'tokenizers/llama3');
  return name === 'stories260k' ? join(shared!, 'models', name) : tokenizerFolder(FAMILIES[name]!.json);
}

async function expectSameOnAllText(pair: Pair, folder: string): Promise<void> {
  let characters = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(txt|jsonl?|csv|md|py)$/.test(name)) continue;
    const text = readFileSync(join(folder, name), 'utf8');
    await expectSameIds(pair, text);
    characters += text.length;
  }
  assert.ok(characters > 30_000_000, `${characters} characters`);
}

for (const name of [REAL_LLAMA3, 'stories260k', 'Qwen 2', 'GPT-2', 'SmolLM']) {
  run(`${name}: every text of the shared data`, async () => {
    const pair = await both(folder(name));
    await expectSameOnAllText(pair, shared!);
  });
}

/** CPU time: the machine may be busy with other things. */
function millisecondsFor(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const randomBytes = Buffer.from(
  fc.sample(fc.uint8Array({ minLength: 1e6, maxLength: 1e6, size: 'max' }), { numRuns: 1, seed: SEED })[0]!,
);

const shapes: Record<string, string> = {
  'one letter': 'a'.repeat(1e6),
  'one word of random letters': Array.from(randomBytes, (byte) => String.fromCharCode(97 + (byte % 26))).join(
    '',
  ),
  'random bytes as UTF-8': randomBytes.toString(),
  'random bytes as Latin-1': randomBytes.toString('latin1'),
  'white space': ' \n'.repeat(5e5),
};

const words = 'The cat sat on the mat, and the dog did not care. '.repeat(2e4);

for (const [name, megabyte] of Object.entries(shapes)) {
  test(`${name}: ten times the text takes at most fifteen times as long, or as words do`, async () => {
    const ours = await loadTokenizer(folder(shared === undefined ? 'Llama 3' : REAL_LLAMA3));
    const encode = (text: string) =>
      Math.min(...[1, 2, 3].map(() => millisecondsFor(() => ours.encode(text))));
    const ten = encode(Buffer.from(megabyte.repeat(10)).toString());
    const one = Math.max(encode(megabyte), encode(words));
    assert.ok(ten < 15 * one, `${ten} ms for ten, ${one} ms for one`);
  });
}

test.run();
