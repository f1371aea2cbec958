import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Problem } from '#src/data/documents/problems.js';
import { openDocuments } from '#src/data/documents.js';
import { createEncode, type DocumentTokenizer } from '#src/data/encoding.js';
import type { Example } from '#src/data/examples.js';
import { type Cursor, type Row, RowStream } from '#src/data/packing.js';
import { inputErrorOf } from '../inputErrors.js';
import { jsonl, Library } from './documents/support.js';

/** Documents that can be read and not be encoded. */

const [BOS, EOS] = [1, 2];
const characters: DocumentTokenizer = {
  before: Uint32Array.of(BOS),
  bosId: BOS,
  eosId: EOS,
  encode: (text) => Uint32Array.from(text, (character) => character.codePointAt(0)!),
};
const encodeText = createEncode(characters, { eos: false });
const encode = (example: Example) => {
  if (example === 'bad') throw new Problem('expected better');
  return encodeText(example);
};
const library = new Library('encoding');
const path = library.put('lines.jsonl', jsonl(['bad', 'abc', 'bad', 'defg', 'bad']));
const documents = await openDocuments({ paths: [path] });

const ROWS = 8;
const options = { sequence: 4, blockRows: 1, seed: 0, repeat: true };
const contentOf = ({ tokens, labels, positions, documents }: Row) => ({
  tokens,
  labels,
  positions,
  documents,
});

const bad = suite('a document that cannot be encoded');

bad('stops the stream with its place', async () => {
  const message = await inputErrorOf(() => new RowStream(documents, encode, options).next());
  assert.match(message, /lines\.jsonl:1: expected better$/);
});

bad('is skipped and told once, and a resume finds its place', async () => {
  const stream = (cursor?: Cursor) => new RowStream(documents, encode, { ...options, onBad: 'skip' }, cursor);
  const whole = stream();
  const rows: Row[] = [];
  const cursors: Cursor[] = [];
  for (let i = 0; i < ROWS; i++) {
    rows.push((await whole.next())!);
    cursors.push(whole.cursor);
  }
  assert.is(cursors.at(-1)!.skipped, 3);
  const told = rows.flatMap(({ skipped = [] }) => skipped.map((line) => /:\d: /.exec(line)![0]));
  assert.equal(told, [':1: ', ':3: ', ':5: ']);
  for (const [i, cursor] of cursors.entries()) {
    const again = stream(cursor);
    for (const row of rows.slice(i + 1)) assert.equal(contentOf((await again.next())!), contentOf(row));
    assert.is(again.cursor.skipped, 3, `after row ${i}`);
  }
});

bad('of which there are no others ends with an error, not with a search for ever', async () => {
  const only = await openDocuments({ paths: [library.put('only.jsonl', jsonl(['bad', 'bad']))] });
  const stream = new RowStream(only, encode, { ...options, onBad: 'skip' });
  assert.match(
    await inputErrorOf(() => stream.next()),
    /^expected a document with something to learn, found none; .*only\.jsonl:2: expected better/,
  );
});

bad.run();
