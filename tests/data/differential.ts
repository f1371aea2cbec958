import { join } from 'node:path';
import fc from 'fast-check';
import { Tokenizer as Oracle } from 'tokenizers';
import * as assert from 'uvu/assert';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { nastyText } from './nastyText.js';

/** Our tokenizer against the Hugging Face library. */

export const SEED = 20260;

/** The same `tokenizer.json` in the Hugging Face library and here. */
export async function both(dir: string) {
  return { oracle: Oracle.fromFile(join(dir, 'tokenizer.json')), ours: await loadTokenizer(dir) };
}

export type Pair = Awaited<ReturnType<typeof both>>;

export async function expectSameIds(
  { oracle, ours }: Pair,
  text: string | readonly string[],
  addSpecialTokens = true,
): Promise<void> {
  const texts = typeof text === 'string' ? [text] : [...text];
  const encodings = await oracle.encodeBatch(texts, { addSpecialTokens });
  texts.forEach((one, i) => {
    expectEqual(one, encodings[i]!.getIds(), ours.encode(one, { addSpecialTokens }));
  });
}

function expectEqual(text: string, expected: readonly number[], found: Uint32Array): void {
  if (expected.length === found.length && expected.every((id, i) => id === found[i])) return;
  const length = Math.max(expected.length, found.length);
  const at = Array.from({ length }, (_, i) => i).find((i) => expected[i] !== found[i])!;
  const around = (ids: ArrayLike<number>) =>
    Array.from(ids)
      .slice(Math.max(0, at - 3), at + 8)
      .join(' ');
  throw new Error(
    `ids of ${JSON.stringify(text.slice(0, 200))} differ from id ${at} on: ` +
      `expected ${around(expected)}, found ${around(found)}`,
  );
}

/** Strings of one property run, of which the library does many at once. */
const AT_ONCE = 40;

/** Compares about `count` generated strings, and decoding of what they give; a failure is shrunk. */
export async function expectSameOnNastyText(pair: Pair, count: number, seed = SEED): Promise<void> {
  const { oracle, ours } = pair;
  const texts = fc.array(nastyText, { minLength: 1, maxLength: AT_ONCE, size: 'max' });
  const property = fc.asyncProperty(texts, async (list) => {
    await expectSameIds(pair, list);
    const ids = list.map((text) => Array.from(ours.encode(text)));
    const expected = await oracle.decodeBatch(ids, false);
    ids.forEach((some, i) => {
      assert.is(ours.decode(some), expected[i], `text of ids ${some.join(' ')}`);
    });
  });
  const numRuns = Math.ceil((2 * count) / AT_ONCE);
  await fc.assert(property, { numRuns, seed, includeErrorInReport: true });
}
