import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseData } from '#src/data/documents/sources.js';
import { BadDocument, type DocumentSource, type Place } from '#src/data/documents.js';
import { inputErrorOf } from '../../inputErrors.js';
import {
  compressed,
  jsonl,
  Library,
  open,
  parquet,
  problemOf,
  read,
  stored,
  textOf,
  textsOf,
} from './support.js';

const paths = suite('paths');
const library = new Library('sources');
const put = library.put.bind(library);
const under = (name: string) => join(library.folder, name);

put('b/one.txt', 'one');
put('b/two.jsonl.gz', compressed('gz', jsonl(['two', 'two again'])));
put('b/deep/three.csv', 'text\nthree\n');
put('b/deep/four.parquet', parquet(['four']));
put('b/notes.md', 'no');
put('b/.hidden/five.txt', 'no');
put('b/[odd].txt', 'odd');
const IN_B = ['odd', 'four', 'three', 'one', 'two', 'two again'];

paths('a folder is all of its files that hold documents, by name', async () => {
  assert.equal(await textsOf(under('b')), IN_B);
  assert.equal(await textsOf(`${under('b')}/`), IN_B);
});

const PATTERNS: Record<string, string[]> = {
  'b/*.txt': ['odd', 'one'],
  'b/**/*.csv': ['three'],
  'b/**': IN_B,
  '**/*.{csv,txt}': ['odd', 'three', 'one'],
  'b/o?e.txt': ['one'],
  'b/[a-o]*.txt': ['one'],
  'b/[!o]*': ['odd', 'two', 'two again'],
  'b/[odd].txt': ['odd'],
};
for (const [pattern, texts] of Object.entries(PATTERNS)) {
  paths(`the pattern ${pattern}`, async () => assert.equal(await textsOf(under(pattern)), texts));
}

paths('patterns below the working folder, with and without ./', async () => {
  const before = process.cwd();
  process.chdir(under('b'));
  try {
    for (const pattern of ['./*.txt', '*.txt', './{one,?odd?}.txt', './**/*o*.txt', '././*.txt']) {
      assert.equal(await textsOf(pattern), ['odd', 'one'], pattern);
    }
    assert.equal(await textsOf('../b/*.txt'), ['odd', 'one']);
  } finally {
    process.chdir(before);
  }
});

paths('links to files are followed', async () => {
  mkdirSync(under('links'));
  symlinkSync('../b/one.txt', under('links/a.txt'));
  assert.equal(await textsOf(under('links')), ['one']);
});

paths('what stands for no files is refused', async () => {
  put('none/readme.md', 'no');
  const cases: [string, RegExp][] = [
    [
      'none',
      /none: expected text files \(\.txt, \.jsonl, .* with \.gz or \.zst, or token shards in \.safetensors\), found none in the folder; check/,
    ],
    ['b/*.json', /b\/\*\.json: expected text files \(.*\), found none that match; check the pattern/],
    ['nowhere/*.txt', /found none that match/],
    ['b/[z-a].txt', /expected a pattern of \*, \?, \*\*, \[a-z\] and \{a,b\}/],
  ];
  for (const [path, expected] of cases) assert.match(await inputErrorOf(() => open(under(path))), expected);
});

paths('a weight is what follows the last colon, unless there is a file of that name', async () => {
  assert.equal(parseData('a.jsonl:0.7'), { path: 'a.jsonl', weight: 0.7 });
  assert.equal(parseData('hf://datasets/a/b/c.jsonl:3'), { path: 'hf://datasets/a/b/c.jsonl', weight: 3 });
  assert.equal(parseData('C:\\a.txt'), { path: 'C:\\a.txt', weight: undefined });
  assert.equal(parseData('b/:.5'), { path: 'b/', weight: 0.5 });
  const odd = put('x.txt:2', 'x');
  assert.equal(parseData(odd), { path: odd, weight: undefined });
  assert.match(await inputErrorOf(() => parseData('a.txt:0')), /--data a\.txt:0: expected a weight above 0/);
  const one = under('b/one.txt');
  assert.match(
    await inputErrorOf(() => open([`${one}:1`, one])),
    /one\.txt: expected a weight for each path or for none, found none; write .*one\.txt:1/,
  );
});
paths.run();

const mixing = suite('weights');

/** Of each source its own letter, and its own lengths. */
function lettered(lengths: readonly (readonly number[])[]): string[] {
  return lengths.map((own, s) =>
    put(`mixed${s}.jsonl`, jsonl(own.map((length) => 'abcdef'[s]!.repeat(length)))),
  );
}

/** The first documents of an endless stream, and the places of each. */
async function take(source: DocumentSource, limit: number, from?: Place) {
  const texts: string[] = [];
  const places: Place[] = [];
  let ends = 0;
  for (let place = from; texts.length < limit; ends++) {
    const items = source.read(place);
    for (let item = await items.next(); ; item = await items.next()) {
      if (item.done) {
        place = item.value;
        break;
      }
      if (item.value instanceof BadDocument) continue;
      texts.push(textOf(item.value));
      places.push(stored(item.value.place));
      if (texts.length === limit) break;
    }
    await items.return(source.start);
  }
  return { texts, places, epochs: ends - 1 };
}

const lengths = fc.array(fc.nat(30), { minLength: 1, maxLength: 6 });
const sources = fc.array(fc.tuple(lengths, fc.constantFrom(0.1, 0.5, 1, 3)), { minLength: 2, maxLength: 4 });

mixing('text comes from each source by its weight, to within its longest document', async () => {
  const check = async (mixed: [number[], number][]) => {
    const files = lettered(mixed.map(([own]) => own));
    const source = await open(files.map((path, s) => `${path}:${mixed[s]![1]}`));
    const { texts, places } = await take(source, 80);
    const { taken } = places.at(-1)!;
    const bytes = texts.slice(0, -1).reduce((sum, text) => sum + Math.max(1, text.length), 0);
    assert.is(
      taken.reduce((sum, each) => sum + each, 0),
      bytes,
    );
    const served = mixed.map(([own, weight], s) => ({
      share: taken[s]! / weight,
      longest: Math.max(1, ...own) / weight,
    }));
    for (const a of served) for (const b of served) assert.ok(b.share - a.share <= b.longest + 1e-9);
  };
  await fc.assert(fc.asyncProperty(sources, check), { seed: 6, numRuns: 60 });
});

mixing('every document of every source in turn, epoch after epoch', async () => {
  const files = lettered([[3, 1, 2], [4]]);
  const { texts, epochs } = await take(await open([`${files[0]}:1`, `${files[1]}:1`]), 8);
  assert.equal(texts, ['aaa', 'bbbb', 'a', 'aa', 'bbbb', 'aaa', 'bbbb', 'a']);
  assert.ok(epochs >= 1);
});

mixing('an epoch ends when every source has ended', async () => {
  const files = lettered([[5, 5, 5, 5], [5]]);
  const source = await open([`${files[0]}:1`, `${files[1]}:1`]);
  const texts = (await read(source)).map(({ text }) => text[0]).join('');
  assert.is(texts, 'abababa');
});

mixing('from any place the further documents are the same', async () => {
  const check = async (mixed: [number[], number][], weighted: boolean) => {
    const files = lettered(mixed.map(([own]) => own));
    const source = await open(files.map((path, s) => (weighted ? `${path}:${mixed[s]![1]}` : path)));
    const { texts, places } = await take(source, 40);
    for (let i = 0; i < texts.length; i += 3) {
      const again = await take(source, texts.length - i, places[i]);
      assert.equal(again.texts, texts.slice(i));
      assert.equal(again.places, places.slice(i));
    }
  };
  await fc.assert(fc.asyncProperty(sources, fc.boolean(), check), { seed: 7, numRuns: 30 });
});

mixing('a source of empty documents starves no other one', async () => {
  const files = lettered([[0], [2]]);
  const { texts } = await take(await open(files.map((path) => `${path}:1`)), 9);
  assert.ok(texts.filter((text) => text === 'bb').length >= 3);
});
mixing.run();

const ranks = suite('ranks');

ranks('the union over the ranks is every document once', async () => {
  const file = fc.record({
    kind: fc.constantFrom('jsonl', 'txt', 'parquet', 'jsonl.gz'),
    size: fc.integer({ min: 1, max: 7 }),
  });
  const check = async (files: { kind: string; size: number }[], count: number, isWeighted: boolean) => {
    const all = files.map(({ kind, size }, f) => {
      const texts = Array.from({ length: kind === 'txt' ? 1 : size }, (_, i) => `${f}.${i}`);
      const content = {
        txt: texts[0]!,
        jsonl: jsonl(texts),
        parquet: parquet(texts, { rowGroupSize: 2 }),
        'jsonl.gz': compressed('gz', jsonl(texts), [13]),
      }[kind]!;
      return { path: put(`ranked${f}.${kind}`, content), texts };
    });
    const total = all.reduce((sum, { texts }) => sum + texts.length, 0);
    const wanted = isWeighted ? all.slice(0, 1) : all;
    const given = wanted.map(({ path }) => (isWeighted ? `${path}:1` : path));
    const found: string[] = [];
    for (let index = 0; index < count; index++) {
      const source = await open(given, { rank: { index, count } });
      try {
        const documents = await read(source);
        found.push(...documents.map(({ text }) => text));
        const middle = documents[documents.length >> 1]!;
        assert.equal(await read(source, stored(middle.place)), documents.slice(documents.length >> 1));
      } catch (error) {
        assert.match(
          (error as Error).message,
          /expected documents for each of \d ranks, found fewer; give more/,
        );
        assert.ok(total < 2 * count * files.length);
      }
    }
    assert.equal(found.sort(), wanted.flatMap(({ texts }) => texts).sort());
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      check,
    ),
    { seed: 8, numRuns: 60 },
  );
});

ranks('files are shared out whole where they can be', async () => {
  const files = ['a', 'b', 'c', 'd'].map((text) => put(`whole-${text}.jsonl`, jsonl([text, text])));
  assert.equal(await textsOf(files, { rank: { index: 1, count: 2 } }), ['b', 'b', 'd', 'd']);
  assert.equal(await textsOf(files.slice(0, 1), { rank: { index: 1, count: 2 } }), ['a']);
});

ranks('a bad document is told by one of them', async () => {
  const path = put('told.jsonl', `${jsonl(['a', 'b', 'c'])}{\n${jsonl(['d'])}`);
  const cut = put('told.jsonl.gz', compressed('gz', jsonl(['e', 'f', 'g', 'h']), [30]).subarray(0, -4));
  const told: string[] = [];
  for (const index of [0, 1, 2]) {
    const source = await open([path, cut], { onBad: 'skip', rank: { index, count: 3 } });
    await read(source, undefined, told);
  }
  assert.is(told.length, 2);
});
ranks.run();

const changed = suite('files that changed since the place');

changed('are refused: size, content, number', async () => {
  const texts = Array.from({ length: 3000 }, (_, i) => `text number ${i}`);
  const [a, b] = [put('changed/a.jsonl', jsonl(texts)), put('changed/b.jsonl', jsonl(texts))];
  const { place } = (await read(await open(under('changed'))))[10]!;
  const resume = async () => read(await open(under('changed')), stored(place));
  assert.is((await resume()).length, 5990);
  put('changed/a.jsonl', jsonl([...texts, 'more']));
  assert.match(
    await inputErrorOf(resume),
    /changed\/a\.jsonl: expected the file that the run began with \(size and hash \d+-\w+\), found \d+-\w+; restore/,
  );
  put('changed/a.jsonl', jsonl(texts).replace('text number 2999', 'TEXT NUMBER 2999'));
  assert.match(await inputErrorOf(resume), /a\.jsonl: expected the file that the run began with/);
  put('changed/a.jsonl', jsonl(texts));
  put('changed/b.jsonl', jsonl(texts.toReversed()));
  assert.match(await inputErrorOf(resume), /b\.jsonl: expected the file that the run began with/);
  put('changed/b.jsonl', jsonl(texts));
  put('changed/c.jsonl', jsonl(texts));
  assert.match(
    await inputErrorOf(resume),
    /expected the files that the run began with \(2\), found 3; restore the data as it was/,
  );
  assert.match(await inputErrorOf(async () => read(await open([a, b, a]), place)), /\(2\), found 3; restore/);
});

changed('among many files: the one that is read is named, others are not', async () => {
  for (let i = 0; i < 20; i++) put(`many/${String.fromCharCode(97 + i)}.txt`, `text ${i}`);
  const { place } = (await read(await open(under('many'))))[1]!;
  assert.is(place.files.length, 1);
  const resume = async () => read(await open(under('many')), stored(place));
  assert.is((await resume()).length, 19);
  put('many/b.txt', 'other');
  assert.match(await inputErrorOf(resume), /many\/b\.txt: expected the file that the run began with/);
  put('many/b.txt', 'text 1');
  put('many/c.txt', 'other');
  assert.match(
    await inputErrorOf(resume),
    /expected the files that the run began with \(others\), found 20; restore/,
  );
});

changed('before the first document was read, too', async () => {
  const { start } = await open(put('first.txt', 'text'));
  put('first.txt', 'TEXT');
  const source = await open(under('first.txt'));
  assert.match(
    await inputErrorOf(() => read(source, start)),
    /first\.txt: expected the file that the run began/,
  );
});

changed('are not those of another folder with the same content', async () => {
  const { place } = (await read(await open(put('here/a.txt', 'a'))))[0]!;
  assert.equal(
    (await read(await open(put('there/a.txt', 'a')), place)).map(({ text }) => text),
    ['a'],
  );
});

changed('and what is no place is refused', async () => {
  const source = await open(put('a.txt', 'a'));
  for (const place of [
    {},
    { files: [], sources: [], taken: [] },
    { source: 0, byteOffset: 0, line: 1 },
    'x',
  ]) {
    assert.match(
      await inputErrorOf(() => read(source, place as unknown as Place)),
      /expected a place in these documents, found another; is the checkpoint damaged\?/,
    );
  }
});
changed.run();

const skipping = suite('bad documents');

skipping('stop the reading, or are skipped with what is wrong with them', async () => {
  const bad = put('bad.jsonl', `{\n${jsonl(['a'])}{"x":1}\n${jsonl(['b'])}["text"]`);
  const empty = put('nothing.txt', '');
  const [cut, good] = [put('cut.parquet', parquet(['c']).subarray(0, 50)), put('good.txt', 'd')];
  const files = [bad, empty, cut, good];
  assert.match(await problemOf(bad), /bad\.jsonl: line 1, byte 0: expected JSON/);
  assert.match(await problemOf(files), /nothing\.txt: expected text, found an empty file; leave it out/);
  const skipped: string[] = [];
  const source = await open(files, { onBad: 'skip' });
  const found = await read(source, undefined, skipped);
  assert.equal(
    found.map(({ text }) => text),
    ['a', 'b', 'd'],
  );
  assert.equal(
    skipped.map((message) =>
      message.slice(library.folder.length + 1).replace(/: (expected \S+ \S+).*/, ': $1'),
    ),
    [
      'bad.jsonl: line 1, byte 0: expected JSON, found',
      'bad.jsonl: line 3, byte 15: expected messages, prompt',
      'bad.jsonl: line 5, byte 36: expected messages, prompt',
      'nothing.txt: expected text, found',
      'cut.parquet: expected a Parquet',
    ],
  );
  for (const [i, { place }] of found.entries()) {
    assert.equal(await read(source, stored(place)), found.slice(i));
  }
});

skipping('are told in the first pass alone', async () => {
  const source = await open(put('passes.jsonl', `{\n${jsonl(['a'])}`), { onBad: 'skip' });
  const told: string[] = [];
  const first = source.read();
  for (let item = await first.next(); ; item = await first.next()) {
    if (item.done) {
      await read(source, item.value, told);
      break;
    }
    if (item.value instanceof BadDocument) told.push(item.value.message);
  }
  assert.is(told.length, 1);
});

skipping('and nothing else: a source without a document is refused', async () => {
  const source = await open(put('all.jsonl', '{\n{\n'), { onBad: 'skip' });
  assert.match(
    await inputErrorOf(() => read(source)),
    /all\.jsonl: expected documents, found none that can be read; give more text/,
  );
});
skipping.run();
