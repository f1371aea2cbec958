import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { StopText } from '#src/inference/stopText.js';
import { Random } from '../ops/cases.js';

/** Texts that end a completion, however it comes in parts. */

/** All that is let through, and whether it is over. */
function passed(stops: readonly string[], parts: readonly string[]): { text: string; isOver: boolean } {
  const stop = new StopText(stops);
  const text = parts.map((part) => stop.push(part)).join('') + stop.end();
  return { text, isOver: stop.isOver };
}

const tests = suite('stop texts');

tests('end a text where the first of them begins', () => {
  assert.equal(passed(['\n\n', 'END'], ['a b', '\n', '\nc END']), { text: 'a b', isOver: true });
  assert.equal(passed(['x'], ['x']), { text: '', isOver: true });
  assert.equal(passed([], ['all ', 'of it']), { text: 'all of it', isOver: false });
});

tests('hold back no more than may begin one', () => {
  const stop = new StopText(['abcab']);
  assert.is(stop.push('xxab'), 'xx');
  assert.is(stop.push('ca'), '');
  assert.is(stop.push('x'), 'abcax');
  assert.is(stop.push('abcab!'), '');
  assert.ok(stop.isOver);
  assert.is(stop.push('more'), '');
  assert.is(stop.end(), '');
});

tests('do not depend on how the text is cut', () => {
  const random = new Random(3);
  const letters = (count: number) => Array.from({ length: count }, () => 'ab\n'[random.integer(3)]!).join('');
  for (let round = 0; round < 500; round++) {
    const text = letters(1 + random.integer(30));
    const stops = Array.from({ length: 1 + random.integer(3) }, () => letters(1 + random.integer(4)));
    const parts: string[] = [];
    for (let at = 0; at < text.length; ) {
      const to = at + 1 + random.integer(4);
      parts.push(text.slice(at, to));
      at = to;
    }
    const ends = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    const expected = ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
    assert.equal(passed(stops, parts), { text: expected, isOver: ends.length > 0 });
  }
});

tests.run();
