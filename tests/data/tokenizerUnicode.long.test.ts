import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  categoryRanges,
  characterClasses,
  escapedClass,
  normalizeForm,
} from '#src/data/tokenizer/unicode.js';
import { digits, inert, matching } from './makeUnicodeData.js';

/** The checked-in tables against the Hugging Face library, which they were made from. */

const test = suite('Unicode tables');

const LETTER = 1;
const NUMBER = 2;
const SPACE = 4;
const DIGIT = 8;

const { blockOf, classes } = characterClasses();
const classOf = (code: number) => classes[256 * blockOf[code >> 8]! + (code & 255)]!;

function ofClass(bit: number): Set<number> {
  const codes = Array.from({ length: 0x110000 }, (_, code) => code);
  return new Set(codes.filter((code) => (classOf(code) & bit) !== 0));
}

const ofRanges = (ranges: readonly (readonly [number, number])[]) =>
  new Set(ranges.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)));

function expectSame(found: ReadonlySet<number>, expected: ReadonlySet<number>): void {
  const hex = (codes: number[]) => codes.map((code) => code.toString(16));
  assert.equal(hex([...found].filter((code) => !expected.has(code))), [], 'too many');
  assert.equal(hex([...expected].filter((code) => !found.has(code))), [], 'missing');
  assert.ok(found.size > 20);
}

test('classes are compact, and those of the library', () => {
  assert.ok(classes.length + blockOf.byteLength < 64 * 1024, `${classes.length} bytes of blocks`);
  expectSame(ofClass(LETTER), matching('\\p{L}'));
  expectSame(ofClass(NUMBER), matching('\\p{N}'));
  expectSame(ofClass(SPACE), matching('\\s'));
  expectSame(ofClass(DIGIT), digits());
});

for (const category of ['Mn', 'P']) {
  test(`the category ${category}`, () => {
    expectSame(ofRanges(categoryRanges(category)), matching(`\\p{${category}}`));
  });
}

for (const letter of ['d', 'w']) {
  test(`\\${letter} of regular expressions`, () => {
    expectSame(ofRanges(escapedClass(letter)!), matching(`\\${letter}`));
  });
}

test('normalization leaves alone what the library leaves alone', () => {
  for (const code of inert()) {
    const character = String.fromCodePoint(code);
    for (const text of [`e${character}\u0301`, `\u0345${character}\u0334`]) {
      assert.is(normalizeForm(text, 'NFKC'), text, code.toString(16));
    }
  }
});

test.run();
