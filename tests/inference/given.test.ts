import { loadModel, type Model } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_LABEL, type Row } from '#src/data/packing/rows.js';
import { makeFixture, STUDENT } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';

/** What calls of a model are given: refused where it is wrong, after which the model is as it was. */

const fixture = makeFixture('given');
const [SEQUENCE, CONTEXT] = [8, 64];
const ROWS = STUDENT.vocab_size as number;
const RANGE = `expected ids from 0 to ${ROWS - 1}, the rows of the model's embedding, found`;

/** A row that predicts all its tokens but the first. */
const rowOf = (tokens: readonly number[]): Row => ({
  tokens: Uint32Array.from(tokens),
  positions: Uint32Array.from(tokens, (_, i) => i),
  labels: Int32Array.from(tokens, (_, i) => tokens[i + 1] ?? NO_LABEL),
  filled: tokens.length,
  documents: [],
});

const tests = suite('what a model is given');
let model: Model;
let expected: unknown;
const values = async () => [
  await model.choices([{ context: [5, 6], continuations: [[7], [8, 9]] }]),
  await model.continuations([{ tokens: Uint32Array.of(5, 6, 7) }]),
  await model.score([rowOf([5, 6, 7])]),
];
tests.before(async () => {
  model = await loadModel(fixture.student, {
    sequence: SEQUENCE,
    threads: 1,
    device: 'wasm',
    context: CONTEXT,
  });
  await values();
  expected = await values();
});
tests.after(() => model.close());

const choose = (...groups: unknown[]) => model.choices(groups as never);
const proceed = (...examples: unknown[]) => model.continuations(examples as never);
const score = (...rows: unknown[]) => model.score(rows as never);
const good = rowOf([1, 2, 3]);

const WRONG: readonly (readonly [call: () => Promise<unknown>, message: string])[] = [
  [() => choose({ context: [ROWS], continuations: [[7]] }), `group 1, context: ${RANGE} ${ROWS} at place 0`],
  [
    () => choose({ context: [1, 99999], continuations: [[7]] }),
    `group 1, context: ${RANGE} 99999 at place 1`,
  ],
  [() => choose({ context: [5.5], continuations: [[7]] }), `group 1, context: ${RANGE} 5.5 at place 0`],
  [() => choose({ context: [1n], continuations: [[7]] }), `group 1, context: ${RANGE} 1n at place 0`],
  [() => choose({ context: [], continuations: [[7]] }), 'group 1, context: expected at least one token'],
  [() => choose({ continuations: [[7]] }), 'group 1, context: expected a list of ids from 0 to'],
  [() => choose({ context: [5] }), 'group 1: expected a list of continuations, found nothing'],
  [() => choose(null), 'group 1, context: expected a list of ids'],
  [
    () =>
      choose({ context: [5], continuations: [[7]] }, { context: [5], continuations: [[6], [7, ROWS, 8]] }),
    `group 2, continuation 2: ${RANGE} ${ROWS} at place 1`,
  ],
  [
    () => choose({ context: [5], continuations: [[7, -1]] }),
    `group 1, continuation 1: ${RANGE} -1 at place 1`,
  ],
  [
    () => choose({ context: [5], continuations: [[7], []] }),
    'group 1, continuation 2: expected at least one token, found none',
  ],
  [
    () => choose({ context: [5], continuations: Array(1) }),
    'group 1, continuation 1: expected a list of ids',
  ],
  [() => model.choices(5 as never), 'choices: expected a list of contexts with continuations, found 5'],
  [() => proceed({ tokens: [5, ROWS, 7] }), `example 1: ${RANGE} ${ROWS} at place 1`],
  [() => proceed({ tokens: [5, 6] }, {}), 'example 2: expected a list of ids'],
  [() => proceed(undefined), 'example 1: expected a list of ids'],
  [
    () => proceed({ tokens: [5, 6], learned: [0, 2] }),
    'example 1, learned: expected 0 or 1, found 2 at place 1',
  ],
  [
    () => proceed({ tokens: [5, 6], learned: [1] }),
    'example 1, learned: expected one for each of 2 tokens, found 1',
  ],
  [() => model.continuations(undefined as never), 'expected examples to score, found nothing'],
  [() => score(good, rowOf([5, ROWS, 7])), `row 2: ${RANGE} ${ROWS} at place 1`],
  [
    () => score(rowOf([1, 2, 3, 4, 5, 6, 7, 8, 9])),
    `row 1: expected at most ${SEQUENCE} tokens, found 9; raise --sequence`,
  ],
  [
    () => score({ ...good, labels: [1, ROWS, NO_LABEL] }),
    `row 1, labels: expected ids from 0 to ${ROWS - 1}, or -100 for none, found ${ROWS} at place 1`,
  ],
  [() => score({ ...good, labels: [1] }), 'row 1, labels: expected one for each of 3 tokens, found 1'],
  [
    () => score({ ...good, positions: [0, 1, 3] }),
    'row 1, positions: expected 0, or 1 more than the one before, found 3 at place 2',
  ],
  [() => score({ ...good, positions: [1, 2, 3] }), 'row 1, positions: expected 0, or 1 more'],
  [() => model.score(5 as never), 'expected rows to score, found 5'],
];

for (const [i, [call, message]] of WRONG.entries()) {
  tests(`${i + 1}, ${message.slice(0, 60)}: is refused, and the model goes on`, async () => {
    assert.match(await inputErrorOf(call), message);
    assert.equal(await values(), expected);
  });
}

tests('any list of numbers is one of ids, as it is when choices are asked for', async () => {
  const groups = [{ context: [5, 6], continuations: [[7], [8, 9]] }];
  const { scores } = await model.choices(groups);
  const changed = model.choices(groups);
  groups[0]!.context.fill(99999);
  groups.push(groups[0]!);
  assert.equal((await changed).scores, scores);
  assert.equal(await model.choices([]), { scores: [], forwarded: 0 });
  assert.equal((await model.choices([{ context: [5], continuations: [] }])).scores, [[]]);
  assert.equal(
    await model.continuations([{ tokens: [5, 6, 7], learned: [0, 0, 1] } as never]),
    await model.continuations([{ tokens: Uint32Array.of(5, 6, 7), learned: Uint8Array.of(0, 0, 1) }]),
  );
});

tests('rows shorter than a window score as each does alone', async () => {
  const rows = [
    [5, 6, 7, 8, 9],
    [50, 60, 70],
    [1, 2, 3, 4, 5, 6, 7, 8],
    [9, 8],
  ].map(rowOf);
  let sum = 0;
  for (const row of rows) {
    const { nll, tokens } = await model.score([row]);
    assert.is(tokens, row.filled - 1);
    sum += nll * tokens;
  }
  const { nll, tokens } = await model.score(rows);
  assert.is(tokens, 14);
  assert.ok(Math.abs(nll * tokens - sum) < 1e-4, `${nll * tokens}, expected ${sum}`);
});

tests.run();
