import { join } from 'node:path';
import { train } from 'rivulet';
import { lastValueFrom, toArray } from 'rxjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Encoded } from '#src/data/examples.js';
import { NO_LABEL, type Packing, RowStream } from '#src/data/packing.js';
import { permutation, randomUint32 } from '#src/data/random.js';
import type { Adapter } from '#src/formats/adapter.js';
import { adapterConfig, type LoraOptions, loraShapes, TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import type { ModelFiles } from '#src/model/weights.js';
import { sourceOf } from '../data/packing/memory.js';
import { makeFixture } from '../fixtures.js';
import {
  type Batch,
  type CaseFile,
  type Losses,
  relativeDistance,
  Training,
  type TrainingOptions,
} from '../training/training.js';

/** What must not change the gradient: how a batch is split, where its documents lie, how many threads compute. */

const ROWS = 64;
const SEQUENCE = 16;
/** Between the same sums in another order. */
const TOLERANCE = 1e-5;
const fixture = makeFixture('invariance');
const student = openModelFiles(fixture.student);
const teacher = openModelFiles(fixture.teacher);
const lora: LoraOptions = { rank: 4, alpha: 8, rsLora: false, dropout: 0, targetModules: TARGET_MODULES };
const random = (stream: number, i: number) => randomUint32(5, stream, i) / 2 ** 32;

/** Both factors random; B can be all 0, which makes it no adapter at all. */
function makeAdapter(checkpoint: ModelFiles, bScale = 0.1): Adapter {
  const shapes = [...loraShapes(checkpoint.config, lora)];
  const tensors = shapes.map(([name, shape], stream) => {
    const scale = name.endsWith('lora_B.weight') ? bScale : 0.3;
    const elements = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => random(stream, i) - 0.5);
    return [name, { shape, data: elements.map((x) => scale * x) }] as const;
  });
  return { folder: '', config: adapterConfig(lora, ''), tensors: new Map(tensors) };
}

/** Documents of 3 to SEQUENCE + 1 tokens. */
const documents = Array.from({ length: 80 }, (_, d) => {
  const length = 3 + Math.floor(random(1000, d) * (SEQUENCE - 1));
  return Uint32Array.from({ length }, (_, i) => 3 + Math.floor(random(2000 + d, i) * 300));
});

/** Whole documents, one after the other, in rows of the batch; what is left is padding. */
function pack(order: readonly Uint32Array[], perRow: number): Batch {
  const size = ROWS * SEQUENCE;
  const batch = {
    rows: ROWS,
    sequence: SEQUENCE,
    tokens: new Uint32Array(size),
    labels: new Int32Array(size).fill(NO_LABEL),
    positions: new Uint32Array(size),
  };
  let [row, used, inRow] = [0, 0, 0];
  for (const document of order) {
    const pairs = document.length - 1;
    if (used + pairs > SEQUENCE || inRow === perRow) [row, used, inRow] = [row + 1, 0, 0];
    assert.ok(row < ROWS, 'the documents fit');
    const at = row * SEQUENCE + used;
    batch.tokens.set(document.subarray(0, pairs), at);
    batch.labels.set(document.subarray(1), at);
    for (let i = 0; i < pairs; i++) batch.positions[at + i] = i;
    used += pairs;
    inRow++;
  }
  return batch;
}

const base: TrainingOptions = {
  ...{ student, teacher, adapter: makeAdapter(student) },
  ...{ alpha: 0.5, temperature: 1.5, weightDecay: 0.01, microRows: 8, rows: ROWS },
  ...{ sequence: SEQUENCE, threads: 1 },
};
const packed = pack(documents, Number.POSITIVE_INFINITY);

async function learn(options: Partial<TrainingOptions>, batch: Batch) {
  const training = await Training.start({ ...base, ...options, seed: 7 });
  const losses = await training.learn(batch, 3);
  const gradients = await training.gradients();
  await training.close();
  return { losses, gradients };
}

type Learned = Awaited<ReturnType<typeof learn>>;

const total = (losses: Float32Array) => losses.reduce((sum, loss) => sum + loss, 0);
const totals = ({ ce, kl, count }: Losses) => [total(ce), total(kl), count];

function assertSame(actual: Learned, expected: Learned, what: string): void {
  for (const [i, sum] of totals(actual.losses).entries()) {
    const reference = totals(expected.losses)[i]!;
    assert.ok(Math.abs(sum / reference - 1) <= TOLERANCE, `${what}: sum ${sum}, expected ${reference}`);
  }
  assert.is(actual.gradients.size, 2 * 2 * TARGET_MODULES.length);
  for (const [name, gradient] of expected.gradients) {
    assert.ok(
      gradient.some((x) => x !== 0),
      `the gradient of ${name} is 0`,
    );
    const distance = relativeDistance(actual.gradients.get(name)!, gradient);
    assert.ok(distance <= TOLERANCE, `${what}: the gradient of ${name} is off by ${distance}`);
  }
}

for (const dropout of [0, 0.1]) {
  test(`the same gradient from micro-batches of 1, 2, 8 and 64 rows, dropout ${dropout}`, async () => {
    const whole = await learn({ microRows: 64, dropout }, packed);
    for (const microRows of [1, 2, 8]) {
      assertSame(await learn({ microRows, dropout }, packed), whole, `micro-batches of ${microRows}`);
    }
  });
}

test('the same steps of a whole run from micro-batches of 1, 2 and 8 rows, with dropout', async () => {
  const stepsWith = async (microBatch: number) => {
    const { student, teacher, jsonl } = fixture;
    const options = { student, teacher, data: [jsonl], batch: 8, sequence: SEQUENCE, steps: 3, microBatch };
    const out = join(fixture.folder, `micro-batch-${microBatch}`);
    const run = train({
      ...options,
      loraDropout: 0.1,
      lr: 1e-2,
      warmup: 0,
      evalFraction: 0,
      shuffleRows: 16,
      threads: 1,
      out,
    });
    const records = await lastValueFrom(run.metrics$.pipe(toArray()));
    return records.filter((record) => record.type === 'step');
  };
  const whole = await stepsWith(8);
  assert.is(whole.length, 3);
  for (const microBatch of [1, 2]) {
    for (const [i, record] of (await stepsWith(microBatch)).entries()) {
      for (const name of ['loss', 'ce', 'kl', 'grad_norm'] as const) {
        const off = Math.abs(record[name]! / whole[i]![name]! - 1);
        assert.ok(
          off <= TOLERANCE,
          `micro-batches of ${microBatch}: ${name} of step ${i + 1} is off by ${off}`,
        );
      }
    }
  }
});

test('dropout changes the gradient', async () => {
  const [with0, with1] = [await learn({ dropout: 0 }, packed), await learn({ dropout: 0.1 }, packed)];
  for (const [name, gradient] of with0.gradients) {
    assert.ok(relativeDistance(with1.gradients.get(name)!, gradient) > 0.01, name);
  }
});

test('the same gradient from any arrangement of whole documents into rows', async () => {
  const reference = await learn({}, packed);
  const shuffled = Array.from(permutation(documents.length, 1, 1), (i) => documents[i]!);
  const arrangements = {
    'another order': pack(shuffled, Number.POSITIVE_INFINITY),
    'two documents a row': pack([...documents].reverse(), 2),
    'other rows': rotated(packed),
  };
  for (const [what, batch] of Object.entries(arrangements)) {
    assert.not.equal(batch.tokens, packed.tokens);
    assertSame(await learn({}, batch), reference, what);
  }
});

/** The documents through the loader's own packing, in as many rows as there may be. */
async function packedBy(packing: Packing, rows: number, sequence: number): Promise<Batch> {
  const examples = documents.map((tokens) => ({ tokens, bytes: 0, fraction: 0 }));
  const options = { sequence, blockRows: rows, seed: 1, packing, repeat: false };
  const stream = new RowStream(sourceOf(examples), (example) => example as Encoded, options);
  const size = rows * sequence;
  const batch = {
    tokens: new Uint32Array(size),
    labels: new Int32Array(size),
    positions: new Uint32Array(size),
  };
  batch.labels.fill(NO_LABEL);
  let at = 0;
  for (let row = await stream.next(); row; row = await stream.next(), at += sequence) {
    assert.ok(at < size, 'the documents fit');
    for (const name of ['tokens', 'labels', 'positions'] as const) batch[name].set(row[name], at);
  }
  return { rows, sequence, ...batch };
}

test('the same gradient from best-fit rows and from one stream', async () => {
  const reference = await learn({}, packed);
  const bestFit = await packedBy('best-fit', ROWS, SEQUENCE);
  assert.not.equal(bestFit.tokens, packed.tokens);
  assertSame(await learn({}, bestFit), reference, 'best-fit');
  const long = 1024;
  const stream = await packedBy('stream', 1, long);
  assertSame(await learn({ sequence: long, microRows: 1, rows: 1 }, stream), reference, 'one row');
});

/** The same rows, the last eight first. */
function rotated(batch: Batch): Batch {
  const by = 8 * SEQUENCE;
  const move = <T extends Uint32Array | Int32Array>(array: T): T => {
    const moved = array.slice() as T;
    moved.set(array.subarray(-by));
    moved.set(array.subarray(0, -by), by);
    return moved;
  };
  const { tokens, labels, positions } = batch;
  return { ...batch, tokens: move(tokens), labels: move(labels), positions: move(positions) };
}

test('a document attends within itself only', async () => {
  const some = documents.slice(0, 40);
  const lonely = pack(some, 1);
  const [together, alone] = [await learn({}, packed), await learn({}, lonely)];
  for (const document of some) {
    const a = lossesOf(document, together, packed);
    assert.ok(relativeDistance(a, lossesOf(document, alone, lonely)) <= TOLERANCE);
  }
});

/** The cross-entropies of a document's tokens, wherever it lies. */
function lossesOf(document: Uint32Array, { losses }: Learned, { tokens }: Batch): Float32Array {
  const inputs = document.subarray(0, -1);
  const at = tokens.findIndex((_, i) => inputs.every((token, j) => tokens[i + j] === token));
  return losses.ce.subarray(at, at + inputs.length);
}

test('the same bits with 1, 2 and 4 threads after three optimizer steps', async () => {
  const file = { learning_rate: 1e-2, warmup: 0, steps: 3, clip: 1 } as CaseFile;
  const outcomes = [];
  for (const threads of [1, 2, 4]) {
    const training = await Training.start({ ...base, microRows: 32, dropout: 0.1, threads });
    for (let step = 1; step <= file.steps; step++) {
      const { count } = await training.learn(packed, step);
      await training.update(file, step, count);
    }
    outcomes.push(await training.parameters());
    await training.close();
  }
  const [one, ...others] = outcomes;
  const start = base.adapter!.tensors;
  for (const [name, data] of one!) {
    assert.ok(relativeDistance(data, start.get(name)!.data) > 1e-3, `${name} was trained`);
    for (const other of others)
      assert.ok(Buffer.from(data.buffer).equals(Buffer.from(other.get(name)!.buffer)), name);
  }
});

test('the KL of a student from itself is 0', async () => {
  for (const checkpoint of [student, teacher]) {
    const adapter = makeAdapter(checkpoint, 0);
    const { losses } = await learn({ student: checkpoint, teacher: checkpoint, adapter }, packed);
    const largest = Math.max(...losses.kl.map(Math.abs));
    assert.ok(largest < 1e-6, `the KL of a token is ${largest}`);
    assert.ok(total(losses.ce) > 0);
  }
});

test.run();
