import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, type TrainInput, train } from 'rivulet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readChatTemplate } from '#src/data/chat/source.js';
import { openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { NO_LABEL, type Row, RowStream } from '#src/data/packing.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { CHAT_TEMPLATE, makeChat, makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { outcomeOf, recordsOf } from './outcome.js';

/** Conversations, from a file to an adapter. */

const fixture = makeFixture('chat');
const chat = join(fixture.folder, 'chat.jsonl');
writeFileSync(chat, makeChat(21, 30));
const withoutAssistant = join(fixture.folder, 'bad.jsonl');
writeFileSync(withoutAssistant, `{"messages":[{"role":"user","content":"the cat"}]}\n${makeChat(21, 30)}`);
const template = join(fixture.folder, 'template.jinja');
writeFileSync(template, CHAT_TEMPLATE);
const freshFolder = () => join(mkdtempSync(join(fixture.folder, 'run-')), 'run');

const [BATCH, SEQUENCE] = [6, 32];
const options: TrainInput = {
  ...{ student: fixture.student, data: [chat], chatTemplate: template },
  ...{ batch: BATCH, sequence: SEQUENCE, steps: 4, evalFraction: 0, shuffleRows: 1, packing: 'stream' },
  ...{ threads: 1, lr: 1e-2, warmup: 0, schedule: 'constant', checkpointEvery: 2 },
};

async function firstRows(lossOn: 'assistant' | 'all'): Promise<Row[]> {
  const chatTemplate = readChatTemplate(fixture.student, template);
  const encode = createEncode(await loadTokenizer(fixture.student), { eos: false, lossOn, chatTemplate });
  const documents = await openDocuments({ paths: [chat] });
  const stream = new RowStream(documents, encode, {
    sequence: SEQUENCE,
    blockRows: 1,
    seed: 0,
    repeat: true,
  });
  const rows: Row[] = [];
  while (rows.length < BATCH) rows.push((await stream.next())!);
  return rows;
}

/** Mean cross-entropy of labels, from the logits of each piece of a document on its own. */
async function lossOf(rows: readonly Row[]): Promise<{ loss: number; count: number }> {
  const model = await loadModel(fixture.student, { sequence: SEQUENCE, device: 'wasm', threads: 1 });
  let [sum, count] = [0, 0];
  for (const { tokens, labels, positions } of rows) {
    const starts = [...positions.keys()].filter((t) => positions[t] === 0);
    for (const [i, start] of starts.entries()) {
      const end = starts[i + 1] ?? tokens.length;
      const logits = await model.logits(tokens.slice(start, end));
      const width = logits.length / (end - start);
      for (let t = start; t < end; t++) {
        if (labels[t] === NO_LABEL) continue;
        const row = logits.subarray((t - start) * width, (t - start + 1) * width);
        const most = Math.max(...row);
        sum += most + Math.log(row.reduce((total, x) => total + Math.exp(x - most), 0)) - row[labels[t]!]!;
        count++;
      }
    }
  }
  await model.close();
  return { loss: sum / count, count };
}

const runs = suite('a run over conversations');

for (const lossOn of ['assistant', 'all'] as const) {
  runs(`has the loss of the tokens that are learned: ${lossOn}`, async () => {
    const { loss, count } = await lossOf(await firstRows(lossOn));
    assert.is(count < BATCH * SEQUENCE, lossOn === 'assistant');
    const [first] = recordsOf(await outcomeOf({ ...options, lossOn, steps: 1 }), 'step');
    assert.ok(Math.abs(first!.loss - loss) < 1e-4, `${first!.loss} is not ${loss}`);
    assert.is(first!.tokens, BATCH * SEQUENCE);
  });
}

runs('that is resumed ends with the same bytes', async () => {
  const whole = await outcomeOf(options);
  const out = freshFolder();
  const run = train({ ...options, out });
  run.metrics$.subscribe({
    next: (record) => {
      if (record.type === 'step' && record.step === 2) run.stop();
    },
    error() {},
  });
  assert.not((await run.finished).finished);
  const resumed = await outcomeOf({ ...options, out, resume: true });
  assert.equal(
    recordsOf(resumed, 'step').map(({ step }) => step),
    [3, 4],
  );
  assert.ok(resumed.adapter.equals(whole.adapter));
});

runs('is held to its chat template when it is resumed, not to where it lies', async () => {
  const out = freshFolder();
  const changing = join(fixture.folder, 'changing.jinja');
  writeFileSync(changing, CHAT_TEMPLATE);
  await outcomeOf({ ...options, chatTemplate: changing, steps: 1, out });
  writeFileSync(changing, CHAT_TEMPLATE.replaceAll('[', '('));
  assert.match(
    await inputErrorOf(() => train({ resume: true, out } as unknown as TrainInput).finished),
    /^--resume: expected the chat template .*changing\.jinja/,
  );
  writeFileSync(changing, CHAT_TEMPLATE);
  assert.equal(
    recordsOf(await outcomeOf({ ...options, chatTemplate: changing, steps: 1, out, resume: true }), 'step'),
    [],
  );
});

runs("uses the model's own template", async () => {
  const student = join(fixture.folder, 'chatty');
  cpSync(fixture.student, student, { recursive: true });
  writeFileSync(join(student, 'chat_template.jinja'), CHAT_TEMPLATE);
  const own = await outcomeOf({ ...options, student, chatTemplate: undefined, steps: 1 });
  const given = await outcomeOf({ ...options, steps: 1 });
  assert.is(recordsOf(own, 'step')[0]!.loss, recordsOf(given, 'step')[0]!.loss);
});

runs('without a template is refused before anything is written', async () => {
  const out = freshFolder();
  assert.match(
    await inputErrorOf(() => train({ ...options, chatTemplate: undefined, out }).finished),
    /chat\.jsonl:1: expected a model with a chat template for conversations, found one without; give --chat-template FILE$/,
  );
  assert.not(existsSync(out));
});

runs('stops at a conversation that has nothing to learn, or skips and lists it', async () => {
  const data = [withoutAssistant];
  assert.match(
    await inputErrorOf(() => train({ ...options, data, out: freshFolder() }).finished),
    /bad\.jsonl:1: expected a turn of the assistant to learn, found none/,
  );
  const skipping = await outcomeOf({ ...options, data, onBadDocument: 'skip', steps: 2, evalFraction: 0.3 });
  const [first, second] = recordsOf(skipping, 'step');
  assert.is(first!.skipped_documents!.total, 1);
  assert.match(first!.skipped_documents!.found[0]!, /bad\.jsonl:1: expected a turn/);
  assert.is(second!.skipped_documents, undefined);
});

runs.run();
