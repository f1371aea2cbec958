import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BadDocument } from '#src/data/documents.js';
import { fractionOf, type MeetingQuery } from '#src/data/examples.js';
import { QMSUM_DEFAULTS, qmsum } from '#src/options/qmsum.js';
import { inputErrorOf } from '../../inputErrors.js';
import { sharedPath } from '../../support.js';
import { MEETING, meetingLines, OTHER, QUERIES, turn } from '../meetings.js';
import { compressed, jsonl, Library, open, stored } from './support.js';

/** Meetings with queries about them, as QMSum is published. */

const library = new Library('meetings');
const path = library.put('meetings.jsonl', meetingLines([MEETING, OTHER]));
const whole = { qmsum: { ...QMSUM_DEFAULTS, transcript: 'whole' } } as const;
const all = { qmsum: { ...QMSUM_DEFAULTS, queries: 'all' } } as const;

async function readAll(...given: Parameters<typeof open>) {
  const items = [];
  for await (const item of (await open(...given)).read()) {
    if (item instanceof BadDocument) throw item;
    items.push(item);
  }
  return items;
}
const queriesIn = async (...given: Parameters<typeof open>) =>
  (await readAll(...given)).map(({ example }) => example as MeetingQuery);

const problemOf = (file: string): Promise<string> => inputErrorOf(() => readAll(file));

const TRANSCRIPT = MEETING.meeting_transcripts.map(({ speaker, content }) => `${speaker}: ${content}`);

const tests = suite('meetings');

tests('every specific query is a document, with the turns that are relevant to it', async () => {
  assert.equal(await queriesIn(path), [
    {
      query: 'What about lunch?',
      answer: 'It is at noon.',
      transcript: 'Bo: When is lunch ?\nAl: At noon .',
    },
    {
      query: 'What did Cy say?',
      answer: 'Cy wants tea,\nand no soup.',
      transcript: 'Al: At noon .\nCy: No soup for me .\nCy: Is there tea ?',
    },
    { query: 'Who came?', answer: 'Nobody.', transcript: 'Di: Hello ?' },
  ]);
  const ids = (await readAll(path)).map(({ id }) => id);
  assert.equal(ids, [`${path}:1#0`, `${path}:1#1`, `${path}:2#0`]);
});

tests('whole meetings on request, and general queries, which are about all of one', async () => {
  const transcripts = (await queriesIn(path, whole)).map(({ transcript }) => transcript);
  assert.equal(transcripts, [TRANSCRIPT.join('\n'), TRANSCRIPT.join('\n'), 'Di: Hello ?']);
  const found = await queriesIn(path, all);
  assert.equal(
    found.map(({ query }) => query),
    ['Summarize the meeting.', 'What about lunch?', 'What did Cy say?', 'Summarize it.', 'Who came?'],
  );
  assert.is(found[0]!.transcript, TRANSCRIPT.join('\n'));
  assert.is(found[1]!.transcript, TRANSCRIPT.slice(1, 3).join('\n'));
});

tests('a JSON array, and compressed files', async () => {
  const expected = await queriesIn(path);
  const lines = readFileSync(path);
  for (const file of [
    library.put('meetings.json', JSON.stringify([MEETING, OTHER])),
    library.put('meetings.jsonl.gz', compressed('gz', lines, [400])),
    library.put('meetings.jsonl.zst', compressed('zst', lines)),
  ]) {
    assert.equal(await queriesIn(file), expected, file);
  }
});

tests('reading restarts at every query, also inside of a meeting', async () => {
  const extended = library.put(
    'extended.jsonl',
    `${meetingLines([MEETING, OTHER, MEETING])}${jsonl(['text'])}`,
  );
  for (const options of [{}, all]) {
    const source = await open(extended, options);
    const found = await readAll(extended, options);
    assert.equal(
      found.map(({ number }) => number[2]),
      found.map((_, i) => i),
    );
    for (const [i, { place }] of found.entries()) {
      const rest = [];
      for await (const item of source.read(stored(place))) rest.push(item);
      assert.equal(rest, found.slice(i), `from document ${i}`);
    }
  }
});

tests('ranks share the queries of a meeting', async () => {
  const parts = await Promise.all([0, 1].map((index) => queriesIn(path, { rank: { index, count: 2 } })));
  const words = parts.flat().map(({ query }) => query);
  assert.equal(words.sort(), (await queriesIn(path)).map(({ query }) => query).sort());
  assert.equal(
    parts.map(({ length }) => length),
    [2, 1],
  );
});

tests('how much of a meeting is read does not change which queries are held out or chosen', async () => {
  const [spans, wholes] = [await queriesIn(path), await queriesIn(path, whole)];
  assert.equal(spans.map(fractionOf), wholes.map(fractionOf));
  assert.is(new Set(spans.map(fractionOf)).size, 3);
});

tests('a meeting that is asked nothing is no document', async () => {
  const silent = { ...MEETING, specific_query_list: [] };
  assert.is((await queriesIn(library.put('silent.jsonl', meetingLines([silent, OTHER])))).length, 1);
  assert.match(
    await problemOf(library.put('none.jsonl', meetingLines([silent]))),
    /none\.jsonl: expected at least one document, found none; leave the file out$/,
  );
});

tests('a column named is read from meetings, too', async () => {
  const items = await readAll(path, { textColumn: 'meeting_id' });
  assert.equal(
    items.map(({ example }) => example),
    ['made-up-1', 'made-up-2'],
  );
});

const query = (change: object) => ({
  ...MEETING,
  specific_query_list: [QUERIES[0], { ...QUERIES[1], ...change }],
});
const spans = (...list: unknown[]) => query({ relevant_text_span: list });
const PAIRS = 'relevant_text_span with pairs of turns';
const RANGE = `specific_query_list[1]: expected ${PAIRS} from 0 to 5, found`;
const NO_SPANS = 'mend the record, or read whole meetings (--qmsum transcript=whole)';

const BAD: readonly (readonly [what: string, meeting: object, problem: string])[] = [
  ['a span beyond the end', spans(['2', '6']), `${RANGE} ["2","6"]; mend the record`],
  ['a span that ends before it starts', spans([3, 2]), `${RANGE} [3,2]; mend the record`],
  ['a negative span', spans(['-1', '2']), `${RANGE} ["-1","2"]; mend the record`],
  ['half a turn', spans([0, 1.5]), `${RANGE} [0,1.5]; mend the record`],
  ['a span of words', spans(['a', 'b']), `${RANGE} ["a","b"]; mend the record`],
  ['a span of one', spans(['1']), `${RANGE} ["1"]; mend the record`],
  ['a span of three', spans([1, 2, 3]), `${RANGE} [1,2,3]; mend the record`],
  ['a span that is a number', spans(4), `${RANGE} 4; mend the record`],
  ['no spans', spans(), `specific_query_list[1]: expected ${PAIRS}, found []; ${NO_SPANS}`],
  [
    'spans left out',
    query({ relevant_text_span: undefined }),
    `specific_query_list[1]: expected ${PAIRS}, found nothing; ${NO_SPANS}`,
  ],
  [
    'an empty query',
    query({ query: ' \n' }),
    'specific_query_list[1]: expected a text as query, found " \\n"; mend or delete the query',
  ],
  [
    'an empty answer',
    query({ answer: '' }),
    'specific_query_list[1]: expected a text as answer, found ""; mend or delete the query',
  ],
  [
    'an answer left out',
    query({ answer: undefined }),
    'specific_query_list[1]: expected a text as answer, found nothing; mend or delete the query',
  ],
  [
    'a query that is a text',
    { ...MEETING, specific_query_list: ['What?'] },
    'specific_query_list[0]: expected an object with query and answer, found "What?"; mend the record',
  ],
  [
    'no list of queries',
    { ...MEETING, specific_query_list: undefined },
    'expected specific_query_list of a meeting to be a list of queries, found nothing; mend the record',
  ],
  [
    'a transcript that is a text',
    { ...MEETING, meeting_transcripts: 'Al: Hello' },
    'expected meeting_transcripts to be a list of turns, found "Al: Hello"; mend the record',
  ],
  [
    'a turn of nobody',
    { ...MEETING, meeting_transcripts: [turn('Al', 'Hi'), { content: 'Hello' }] },
    'meeting_transcripts[1]: expected speaker and content that are texts, found {"content":"Hello"}; mend the record',
  ],
];

for (const [what, meeting, problem] of BAD) {
  tests(`${what}: told with its place`, async () => {
    const file = library.put('bad.jsonl', meetingLines([OTHER, meeting]));
    const at = meetingLines([OTHER]).length;
    assert.is(await problemOf(file), `${file}: line 2, byte ${at}: ${problem}`);
  });
}

tests('a query that is bad is left out by itself', async () => {
  const file = library.put('some-bad.jsonl', meetingLines([spans([0, 9]), OTHER]));
  const skipped: string[] = [];
  const found: string[] = [];
  for await (const item of (await open(file, { onBad: 'skip' })).read()) {
    if (item instanceof BadDocument) skipped.push(item.message);
    else found.push((item.example as MeetingQuery).query);
  }
  assert.equal(found, ['What about lunch?', 'Who came?']);
  assert.is(skipped.length, 1);
});

tests('spans do not matter to whole meetings', async () => {
  const file = library.put('whole.jsonl', meetingLines([spans()]));
  assert.is((await queriesIn(file, whole)).length, 2);
});

tests('the option as it is written on a command line', () => {
  assert.equal(QMSUM_DEFAULTS, {
    transcript: 'spans',
    queries: 'specific',
    tokens: 768,
    keep: 'head',
    prompt: 'text',
  });
  assert.equal(qmsum.parse('tokens=all,keep=ends'), { ...QMSUM_DEFAULTS, tokens: 'all', keep: 'ends' });
  assert.equal(qmsum.parse({ tokens: 20 }), { ...QMSUM_DEFAULTS, tokens: 20 });
  const messageOf = (given: unknown) => qmsum.safeParse(given).error!.issues[0]!.message;
  const pairs = 'expected NAME=VALUE once for each name, with commas between several';
  assert.is(messageOf('whole'), pairs);
  assert.is(messageOf('tokens=3,tokens=4'), pairs);
  assert.is(messageOf(''), pairs);
  assert.is(messageOf('transcript=half'), 'expected transcript to be spans | whole');
  assert.is(
    messageOf('token=3'),
    'expected transcript, queries, tokens, keep or prompt, each with its value',
  );
  const expected = 'expected tokens to be all or a whole number of at least 1';
  for (const tokens of ['0', '-1', '1.5', 'many', '']) assert.is(messageOf(`tokens=${tokens}`), expected);
  for (const tokens of [true, [2], null]) assert.is(messageOf({ tokens }), expected);
});

tests.run();

const shared = sharedPath('data/eval/qmsum');
const real = suite('QMSum');
const withShared = shared ? real : real.skip;

withShared(`all of its queries${shared ? '' : ' (no ../shared: 3 files skipped)'}`, async () => {
  const counts: number[][] = [];
  for (const name of ['train', 'val', 'test']) {
    const file = `${shared}/${name}.jsonl`;
    const [specific, both] = [await queriesIn(file), await queriesIn(file, all)];
    counts.push([specific.length, both.length]);
    assert.is(new Set(both.map(fractionOf)).size, both.length, 'no two are the same');
  }
  assert.equal(counts, [
    [1095, 1257],
    [237, 272],
    [244, 281],
  ]);
});

real.run();
