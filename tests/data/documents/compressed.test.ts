import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { projectRoot } from '../../support.js';
import {
  assertRestarts,
  compressed,
  jsonl,
  Library,
  open,
  parquet,
  problemOf,
  read,
  skippableFrame,
  textsOf,
  zstdFrame,
} from './support.js';

const library = new Library('compressed');
const put = library.put.bind(library);
const golden = (name: string) => join(projectRoot, 'tests/goldens/documents', name);

const TEXTS = ['one', 'zwei é€😀', '', 'x'.repeat(3000), 'five\nlines'];
const CSV = `text\n${TEXTS.map((text) => `"${text}"`).join('\n')}\n`;

const formats = suite('every format, compressed');
for (const kind of ['gz', 'zst'] as const) {
  for (const [name, content, texts] of [
    ['txt', TEXTS.join('|'), TEXTS.filter((text) => text !== '')],
    ['jsonl', jsonl(TEXTS), TEXTS],
    ['ndjson', jsonl(TEXTS), TEXTS],
    ['tsv', CSV.replaceAll('"text"', 'text'), TEXTS],
    ['json', JSON.stringify(TEXTS.map((text) => ({ text }))), TEXTS],
    ['csv', CSV, TEXTS],
    ['parquet', parquet(TEXTS), TEXTS],
  ] as const) {
    formats(`.${name}.${kind}`, async () => {
      const path = put(`a.${name}.${kind}`, compressed(kind, content));
      assert.equal(await textsOf(path, { separator: '|' }), texts);
      await assertRestarts(path, { separator: '|' });
    });
  }
}
formats.run();

const members = suite('members and frames');

members(
  'content cut anywhere into members or frames is the same, and restarts in the one that holds it',
  async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '"', '😀'), maxLength: 12 });
    const check = async (texts: string[], cuts: number[], kind: 'gz' | 'zst') => {
      const path = put(`cut.jsonl.${kind}`, compressed(kind, jsonl(texts), cuts));
      assert.equal(await textsOf(path), texts);
      await assertRestarts(path);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(150), { maxLength: 5 }),
        fc.constantFrom('gz', 'zst'),
        check,
      ),
      { seed: 4, numRuns: 100 },
    );
  },
);

members('a place holds the frame: reading goes back to it and no further', async () => {
  const texts = Array.from({ length: 40 }, (_, i) => `text ${i} ${'-'.repeat(200)}`);
  const content = jsonl(texts);
  for (const kind of ['gz', 'zst'] as const) {
    const cuts = [content.length / 4, content.length / 2, (3 * content.length) / 4].map(Math.floor);
    const file = compressed(kind, content, cuts);
    const source = await open(put(`frames.jsonl.${kind}`, file));
    const found = await read(source);
    const restarts = found.map(({ place }) => place.sources[0]!.at!.restart!);
    assert.equal([...new Set(restarts.map(({ before }) => before))], [0, ...cuts]);
    // Damage before the frame is not seen by who restarts in it.
    put(`frames.jsonl.${kind}`, Buffer.concat([Buffer.alloc(200), file.subarray(200)]));
    assert.equal(await read(source, found.at(-1)!.place), found.slice(-1));
  }
});

members('skippable frames, empty ones, small blocks and sizes in headers', async () => {
  const content = Buffer.from(jsonl(TEXTS));
  const [head, tail] = [content.subarray(0, 30), content.subarray(30)];
  const file = Buffer.concat([
    skippableFrame(5),
    zstdFrame(head, { checksum: false, block: 7 }),
    zstdFrame(Buffer.alloc(0)),
    skippableFrame(70_000),
    zstdFrame(tail, { contentSize: true }),
    skippableFrame(0),
  ]);
  assert.equal(await textsOf(put('skippable.jsonl.zst', file)), TEXTS);
  await assertRestarts(put('skippable.jsonl.zst', file));
});

members('gzip headers with names and comments, and zeros after the last member', async () => {
  const deflated = gzipSync(jsonl(TEXTS)).subarray(10);
  const extra = Buffer.from([0x1f, 0x8b, 8, 2 + 4 + 8 + 16, 0, 0, 0, 0, 0, 3, 3, 0, 9, 9, 9]);
  const header = Buffer.concat([extra, Buffer.from('name\0comment\0'), Buffer.from([0, 0])]);
  const file = Buffer.concat([header, deflated, Buffer.alloc(1000)]);
  assert.equal(await textsOf(put('named.jsonl.gz', file)), TEXTS);
});

members('members far larger and far smaller than the reads', async () => {
  const large = Array.from({ length: 300 }, (_, i) =>
    Array.from({ length: 3000 }, (_, j) => (i * j) % 997).join(' '),
  );
  const content = Buffer.from(jsonl(large));
  const cuts = Array.from({ length: 300 }, (_, i) => Math.floor((content.length / 2) * (1 + i / 300)));
  for (const kind of ['gz', 'zst'] as const) {
    const path = put(`sizes.jsonl.${kind}`, compressed(kind, content, cuts));
    assert.ok((await textsOf(path)).every((text, i) => text === large[i]));
    await assertRestarts(path, {}, 60);
  }
});

members('what real compressors write', async () => {
  const texts = JSON.parse(readFileSync(golden('texts.json'), 'utf8')) as string[];
  for (const name of [
    'level-3.jsonl.zst',
    'level-19-frames.jsonl.zst',
    'level-6.jsonl.gz',
    'blocks.jsonl.gz',
  ]) {
    assert.equal(await textsOf(golden(name)), texts, name);
    await assertRestarts(golden(name), {}, 50);
  }
});
members.run();

const damaged = suite('damage');
const WHOLE = { gz: compressed('gz', jsonl(TEXTS)), zst: compressed('zst', jsonl(TEXTS)) };

for (const kind of ['gz', 'zst'] as const) {
  const name = kind === 'gz' ? 'gzip' : 'zstd';
  damaged(`a .${kind} cut anywhere is refused`, async () => {
    for (let length = 1; length < WHOLE[kind].length; length += 1 + (length >> 5)) {
      const path = put(`cut.jsonl.${kind}`, WHOLE[kind].subarray(0, length));
      const message = await problemOf(path);
      assert.match(
        message,
        new RegExp(`^${path}: line \\d+, byte \\d+ of its content: expected `),
        `${length}`,
      );
      assert.match(message, new RegExp(`${name}.*fetch the file again$`));
    }
  });

  damaged(`a .${kind} cut at the end of the second member says where that starts`, async () => {
    const two = Buffer.concat([WHOLE[kind], WHOLE[kind].subarray(0, -3)]);
    const message = await problemOf(put(`two.jsonl.${kind}`, two));
    assert.match(message, new RegExp(`starts at byte ${WHOLE[kind].length} of the file, found its end`));
  });

  damaged(`other bytes in a .${kind}, at its start or after it, are refused`, async () => {
    assert.match(
      await problemOf(put(`no.jsonl.${kind}`, jsonl(TEXTS))),
      new RegExp(`expected a ${name} (member|frame) at byte 0 of the file, found other bytes`),
    );
    const after = Buffer.concat([WHOLE[kind], Buffer.from('more')]);
    assert.match(
      await problemOf(put(`no.jsonl.${kind}`, after)),
      new RegExp(`at byte ${WHOLE[kind].length} of the file, found other bytes`),
    );
  });

  damaged(`a changed byte in a .${kind} is found by its checksum`, async () => {
    const bytes = Buffer.from(jsonl(['a'.repeat(20)]));
    const file = kind === 'gz' ? gzipSync(bytes, { level: 0 }) : zstdFrame(bytes);
    const at = file.indexOf('aaaa');
    file[at] = 98;
    assert.match(await problemOf(put(`flip.jsonl.${kind}`, file)), /fetch the file again$/);
  });

  damaged(`a damaged .${kind} can be skipped: what comes before is read, and the next file`, async () => {
    const path = put(`cut.jsonl.${kind}`, compressed(kind, jsonl(TEXTS), [10]).subarray(0, -12));
    const skipped: string[] = [];
    const found = await read(await open([path, put('b.txt', 'b')], { onBad: 'skip' }), undefined, skipped);
    assert.is(found.at(-1)!.text, 'b');
    assert.is(skipped.length, 1);
  });
}

damaged('lengths that are not those of the headers', async () => {
  const gz = Buffer.from(WHOLE.gz);
  gz.writeUInt32LE(gz.readUInt32LE(gz.length - 4) + 1, gz.length - 4);
  assert.match(await problemOf(put('length.jsonl.gz', gz)), /found a member whose CRC or length is wrong/);
  const zst = zstdFrame(Buffer.from(jsonl(TEXTS)), { contentSize: true, checksum: false });
  zst[6] = zst[6]! ^ 1;
  assert.match(await problemOf(put('length.jsonl.zst', zst)), /expected a zstd frame at byte 0 of the file/);
});

damaged('windows that are too large, and dictionaries, are refused', async () => {
  const frame = zstdFrame(Buffer.from(jsonl(TEXTS)));
  frame[5] = 18 << 3;
  assert.match(
    await problemOf(put('window.jsonl.zst', frame)),
    /expected zstd windows of at most 134217728 bytes, found a frame that needs 268435456 at byte 0; compress it/,
  );
  const header = [0x28, 0xb5, 0x2f, 0xfd, 1, 0x38, 77];
  const dictionary = Buffer.concat([Buffer.from(header), frame.subarray(6)]);
  assert.match(
    await problemOf(put('dictionary.jsonl.zst', dictionary)),
    /without a dictionary, found one that/,
  );
});

damaged('an empty content is no text', async () => {
  for (const kind of ['gz', 'zst'] as const) {
    assert.match(
      await problemOf(put(`empty.jsonl.${kind}`, compressed(kind, ''))),
      /expected at least one document, found none/,
    );
  }
});
damaged.run();
