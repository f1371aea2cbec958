import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheTeacher, evaluate, generate, loadModel, type Model, tokenize, train } from 'rivulet';
import { lastValueFrom } from 'rxjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture, makeText, STUDENT } from '../fixtures.js';
import { runErrorOf } from '../hub/scene.js';
import { inputErrorOf } from '../inputErrors.js';

/** A loaded model: calls at once, calls that are refused or stopped, and its end. */

const fixture = makeFixture('model');
const SEQUENCE = 64;
const ROWS = STUDENT.vocab_size as number;
const open = (): Promise<Model> => loadModel(fixture.student, { sequence: SEQUENCE, threads: 2 });
const [SHORT, LONG] = [makeText(5, 30), makeText(6, 4000)];

const turns = suite('calls on one model');
let model: Model;
turns.before(async () => {
  model = await open();
});
turns.after(() => model.close());

turns('made at once give the values of calls made one after the other', async () => {
  const calls = [
    () => model.logits([1, 5, 9]),
    () => model.perplexity(LONG),
    () => model.logits(Uint32Array.of(1, 7, 3, 4)),
    () => model.perplexity(SHORT),
    () => model.logits(Array.from({ length: SEQUENCE }, (_, i) => (7 * i) % ROWS)),
    () => model.logits([2]),
  ];
  const expected: unknown[] = [];
  for (const call of calls) expected.push(await call());
  for (const order of [calls.keys(), calls.map((_, i) => calls.length - 1 - i)]) {
    const places = [...order];
    const found = await Promise.all(places.map((place) => calls[place]!()));
    assert.equal(
      found,
      places.map((place) => expected[place]),
    );
  }
});

turns('take numbers of any array, as they are when the call is made', async () => {
  const ids = [1, 5, 9];
  const expected = await model.logits(ids);
  assert.is(expected.length, 3 * ROWS);
  for (const Numbers of [Uint32Array, Int32Array, Uint16Array, Float64Array]) {
    assert.equal(await model.logits(Numbers.from(ids)), expected);
  }
  const changed = model.logits(ids);
  ids.fill(2);
  assert.equal(await changed, expected);
});

turns('refuse what is no id of the model, or too much of it, and go on', async () => {
  const expected = await model.logits([1, 2]);
  const range = `logits: expected ids from 0 to ${ROWS - 1}, the rows of the model's embedding, found`;
  const cases: [tokens: unknown, message: string][] = [
    [[1, ROWS], `${range} ${ROWS} at place 1`],
    [[1e6], `${range} 1000000 at place 0`],
    [[0, -1], `${range} -1 at place 1`],
    [[0.5], `${range} 0.5 at place 0`],
    [[Number.NaN], `${range} NaN at place 0`],
    [[2 ** 32], `${range} 4294967296 at place 0`],
    [[1n], `${range} 1n at place 0`],
    ['12', `${range} "1" at place 0`],
    [Array(2), `${range} nothing at place 0`],
    [[], `logits: expected 1 to ${SEQUENCE} tokens, found 0`],
    [undefined, `logits: expected 1 to ${SEQUENCE} tokens, found nothing`],
    [new Uint8Array(SEQUENCE + 1), `logits: expected 1 to ${SEQUENCE} tokens, found ${SEQUENCE + 1}`],
  ];
  for (const [tokens, message] of cases) {
    assert.is(await inputErrorOf(() => model.logits(tokens as number[])), message);
  }
  assert.match(await inputErrorOf(() => model.perplexity(5 as never)), 'expected a text, found 5');
  assert.match(await inputErrorOf(() => model.perplexity('')), 'text: expected at least two tokens, found 1');
  assert.match(
    await inputErrorOf(() => model.perplexity(SHORT, { nmae: 'x' } as never)),
    'unknown option --nmae; did you mean --name?',
  );
  assert.equal(await model.logits([1, 2]), expected);
});

turns('that are stopped reject at once and leave the others as they are', async () => {
  const expected = await model.perplexity(SHORT);
  const stop = new AbortController();
  const cause = new Error('enough');
  const running = model.perplexity(LONG.repeat(30), { signal: stop.signal });
  const waiting = model.perplexity(LONG.repeat(30), { signal: stop.signal });
  const next = model.perplexity(SHORT);
  stop.abort(cause);
  const start = performance.now();
  for (const call of [running, waiting, model.perplexity(LONG, { signal: stop.signal })]) {
    const message = await runErrorOf(call);
    assert.is(message, 'expected to score the whole text, found a signal to stop');
    await call.catch((error: Error) => assert.is(error.cause, cause));
  }
  assert.ok(performance.now() - start < 500);
  assert.equal(await next, expected);
});

turns('that write and wait for their turn reject at once, too, and write nothing', async () => {
  const writer = await loadModel(fixture.student, { sequence: 1, threads: 1, context: 120 });
  const stop = new AbortController();
  const prompts = Array.from({ length: 20 }, () => ({ ids: [5] }));
  const running = writer.complete(prompts, { maxTokens: 100 });
  let records = 0;
  const waiting = writer
    .generate(prompts, { signal: stop.signal, maxTokens: 5 })
    .forEach(() => void records++);
  const next = writer.complete([{ ids: [5] }], { maxTokens: 5 });
  let isOver = false;
  running.then(() => {
    isOver = true;
  });
  setTimeout(() => stop.abort(), 10);
  assert.is(await runErrorOf(waiting), 'expected to write all completions, found a signal to stop');
  assert.not(isOver);
  assert.equal((await next)[0]!.ids, (await running)[0]!.ids.slice(0, 5));
  assert.is(records, 0);
  await writer.close();
});

turns.run();

const end = suite('the end of a model');

end(
  'close waits for what was asked before; what is asked later rejects; a second close is fine',
  async () => {
    const closed = await open();
    const expected = await closed.logits([1, 2]);
    const before = Promise.all([closed.perplexity(LONG), closed.logits([1, 2])]);
    const closing = closed.close();
    for (const late of [() => closed.logits([1]), () => closed.perplexity(SHORT)]) {
      assert.match(await inputErrorOf(late), 'the model is closed');
    }
    await Promise.all([closing, closed.close()]);
    assert.equal((await before)[1], expected);
    await closed.close();
  },
);

end.run();

const loading = suite('loadModel');

const wrong: [options: unknown, message: string][] = [
  [{ threads: 1.5 }, '--threads: expected a whole number, found 1.5'],
  [{ threads: true }, '--threads: expected a number, found true'],
  [{ device: 'cpu' }, '--device: expected auto | wasm | webgpu | webgpu:WHICH, found cpu'],
  [{ device: 'cuda' }, '--device: expected auto | wasm | webgpu | webgpu:WHICH, found cuda'],
  [{ sequnce: 8 }, 'unknown option --sequnce; did you mean --sequence?'],
  [{ steps: 8 }, 'unknown option --steps; see --help'],
  [{ sequence: '' }, '--sequence: expected a number, found ""'],
  [{ signal: {} }, '--signal: expected an AbortSignal, found {}'],
  [
    { adapter: 5, threads: 0 },
    '--adapter: expected some text, found 5; --threads: expected at least 1, found 0',
  ],
  [5, 'expected an object of options, found 5'],
];
for (const [options, message] of wrong) {
  loading(`refuses ${JSON.stringify(options)}`, async () => {
    assert.is(await inputErrorOf(() => loadModel(fixture.student, options as never)), message);
  });
}

loading('needs a model, and no options where the defaults fit', async () => {
  const message = await inputErrorOf(() => loadModel(undefined as never));
  assert.is(message, '--model: expected MODEL, found nothing; give the model');
  // Rows of 256 tokens, as the table of options says, are longer than this model reaches.
  assert.match(await inputErrorOf(() => loadModel(fixture.student)), /at most 128, .* found 256$/);
});

loading('a window of one token predicts nothing', async () => {
  const narrow = await loadModel(fixture.student, { sequence: 1, threads: 1 });
  assert.is((await narrow.logits([3])).length, ROWS);
  assert.match(await inputErrorOf(() => narrow.perplexity(SHORT)), /at least 2 tokens, .* --sequence 1$/);
  await narrow.close();
});

loading(
  'a tokenizer with more tokens than the embedding has rows is refused, as train refuses it',
  async () => {
    const folder = join(fixture.folder, 'one-more');
    cpSync(fixture.student, folder, { recursive: true });
    const path = join(folder, 'tokenizer.json');
    const tokenizer = JSON.parse(readFileSync(path, 'utf8')) as { added_tokens?: object[] };
    const added = { id: ROWS, content: '<one more>', special: true, normalized: false };
    const flags = { single_word: false, lstrip: false, rstrip: false };
    tokenizer.added_tokens = [...(tokenizer.added_tokens ?? []), { ...added, ...flags }];
    writeFileSync(path, JSON.stringify(tokenizer));
    const expected = `${folder}: expected an embedding for each of the tokenizer's ${ROWS + 1} tokens, found ${ROWS}; `;
    const [sequence, threads] = [16, 1];
    for (const refused of [
      () => loadModel(folder, { sequence, threads }),
      () => evaluate({ model: folder, perplexity: fixture.text, sequence, threads }),
      () =>
        train({ student: folder, data: [fixture.text], sequence, threads, out: join(fixture.folder, 'none') })
          .finished,
    ]) {
      assert.ok((await inputErrorOf(refused)).startsWith(expected));
    }
  },
);

loading('a download stops at once, whoever asked for it', async () => {
  let [opened, closed] = [0, 0];
  const silent = createServer((request) => {
    request.socket.on('close', () => closed++);
    opened++;
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { HF_ENDPOINT, HF_HUB_CACHE } = process.env;
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  process.env.HF_HUB_CACHE = join(fixture.folder, 'cache');
  try {
    const stop = new AbortController();
    const { signal } = stop;
    const model = 'someone/model';
    const [data, far] = [[fixture.text], ['hf://datasets/someone/texts']];
    const [filling, out] = [
      { sequence: 16, threads: 1, device: 'wasm' },
      join(fixture.folder, 'out'),
    ] as const;
    const calls: [call: Promise<unknown>, purpose: string][] = [
      [loadModel(model, { signal }), 'load the model'],
      [evaluate({ model, perplexity: fixture.text }, { signal }), 'score the whole text'],
      [tokenize({ model, data }, { signal }), 'read all documents'],
      [
        cacheTeacher({ ...filling, model, data, out }, { signal }),
        'fill the cache, which keeps what is in it',
      ],
      [
        cacheTeacher({ ...filling, model: fixture.student, data: far, out }, { signal }),
        'fill the cache, which keeps what is in it',
      ],
      [lastValueFrom(generate({ model, prompt: 'the' }, { signal })), 'write all completions'],
    ];
    const runs = [
      { student: model, data },
      { student: fixture.student, data: far },
    ].map((given, i) => train({ ...filling, ...given, out: join(fixture.folder, `run-${i}`) }));
    while (opened < calls.length + runs.length) await delay(10);
    stop.abort();
    assert.equal(
      await Promise.all(calls.map(([call]) => runErrorOf(call))),
      calls.map(([, purpose]) => `expected to ${purpose}, found a signal to stop`),
    );
    for (const run of runs) {
      run.stop();
      assert.is((await run.finished).steps, 0);
    }
    // The requests themselves have ended, too.
    while (closed < opened) await delay(10);
  } finally {
    process.env.HF_ENDPOINT = HF_ENDPOINT ?? '';
    process.env.HF_HUB_CACHE = HF_HUB_CACHE ?? '';
    silent.closeAllConnections();
    silent.close();
  }
});

loading('stops in the middle of loading, whenever it is told', async () => {
  for (const turnsBefore of [0, 1, 5, 20]) {
    const stop = new AbortController();
    const loaded = loadModel(fixture.student, { sequence: 16, threads: 1, signal: stop.signal });
    for (let i = 0; i < turnsBefore; i++) await new Promise(setImmediate);
    stop.abort();
    // It may have been ready before.
    const outcome = await loaded.then(
      async (ready) => {
        await ready.close();
        return 'ready';
      },
      (error: Error) => error.message,
    );
    assert.ok(['ready', 'expected to load the model, found a signal to stop'].includes(outcome), outcome);
  }
});

loading.run();
