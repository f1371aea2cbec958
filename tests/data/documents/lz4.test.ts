import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unlz4 } from '#src/data/documents/parquet/lz4.js';
import { Problem } from '#src/data/documents/problems.js';
import { lz4Block } from './lz4Block.js';

test('the example of a block by hand: literals, a match that overlaps itself, literals', () => {
  // 1 literal "a", a match of 4 + 4 at offset 1; then 2 literals "bc".
  const block = Uint8Array.of(0x14, 0x61, 1, 0, 0x20, 0x62, 0x63);
  assert.is(Buffer.from(unlz4(block, 11)).toString(), 'aaaaaaaaabc');
  // 15 + 5 literals.
  const long = Buffer.concat([Buffer.from([0xf0, 5]), Buffer.alloc(20, 'x')]);
  assert.is(Buffer.from(unlz4(long, 20)).toString(), 'x'.repeat(20));
});

test('what was compressed comes back, and nothing else passes', () => {
  const bytes = fc
    .array(fc.constantFrom('a', 'bc', 'abcabcabc', 'x'.repeat(300), '\n', 'é'), { maxLength: 60 })
    .map((parts) => Buffer.from(parts.join('')));
  fc.assert(
    fc.property(bytes, fc.nat(), fc.nat(255), (content, at, byte) => {
      const block = lz4Block(content);
      assert.ok(Buffer.from(unlz4(block, content.length)).equals(content));
      for (const length of [content.length + 1, content.length - 1].filter((n) => n >= 0)) {
        assert.throws(
          () => unlz4(block, length),
          (error: unknown) => error instanceof Problem,
        );
      }
      const damaged = Uint8Array.from(block);
      damaged[at % damaged.length] = byte;
      try {
        assert.is(unlz4(damaged, content.length).length, content.length);
      } catch (error) {
        assert.instance(error, Problem);
      }
    }),
    { numRuns: 400 },
  );
});

test.run();
