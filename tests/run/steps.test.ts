import { join } from 'node:path';
import { train } from 'rivulet';
import { lastValueFrom, toArray } from 'rxjs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { RowStream } from '#src/data/packing.js';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { readAdapter } from '#src/formats/adapter.js';
import { adapterConfig, type LoraOptions, loraShapes, TARGET_MODULES } from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { randomLora } from '#src/training/initialise.js';
import { makeFixture } from '../fixtures.js';
import { type Batch, type CaseFile, mean, Training } from '../training/training.js';

/** What the actors do together is the bare joint step, which PyTorch's goldens vouch for, on the rows of the text. */

const fixture = makeFixture('steps');
const [BATCH, SEQUENCE, STEPS, SEED] = [8, 16, 4, 11];
const lora: LoraOptions = { rank: 4, alpha: 8, rsLora: false, dropout: 0.1, targetModules: TARGET_MODULES };
/** Small clip and weight decay, so that the gradient's scale counts. */
const file: CaseFile = {
  ...{
    alpha: 0.3,
    temperature: 1.5,
    steps: STEPS,
    warmup: 2,
    learning_rate: 1e-2,
    weight_decay: 0.1,
    clip: 0.2,
  },
};

async function readBatches(): Promise<Batch[]> {
  const options = { sequence: SEQUENCE, blockRows: 5, seed: SEED, repeat: true };
  const documents = await openDocuments({ paths: [fixture.jsonl] });
  const stream = new RowStream(
    documents,
    createEncode(await loadTokenizer(fixture.student), { eos: false }),
    options,
  );
  const batches: Batch[] = [];
  for (let step = 0; step < STEPS; step++) {
    const batch = {
      rows: BATCH,
      sequence: SEQUENCE,
      tokens: new Uint32Array(BATCH * SEQUENCE),
      labels: new Int32Array(BATCH * SEQUENCE),
      positions: new Uint32Array(BATCH * SEQUENCE),
    };
    for (let row = 0; row < BATCH; row++) {
      const { tokens, labels, positions } = (await stream.next())!;
      batch.tokens.set(tokens, row * SEQUENCE);
      batch.labels.set(labels, row * SEQUENCE);
      batch.positions.set(positions, row * SEQUENCE);
    }
    batches.push(batch);
  }
  return batches;
}

/** Losses and gradient norms step by step, and the adapter after the last one. */
async function bareSteps(microRows: number) {
  const student = openModelFiles(fixture.student);
  const tensors = randomLora(loraShapes(student.config, lora), SEED);
  const training = await Training.start({
    ...{
      student,
      teacher: openModelFiles(fixture.teacher),
      alpha: file.alpha,
      temperature: file.temperature,
    },
    ...{ adapter: { folder: '', config: adapterConfig(lora, ''), tensors }, dropout: lora.dropout },
    ...{ weightDecay: file.weight_decay, microRows, rows: BATCH, sequence: SEQUENCE, threads: 1 },
    ...{ clip: file.clip, seed: SEED },
  });
  const steps = [];
  for (const [i, batch] of (await readBatches()).entries()) {
    const { ce, kl, count } = await training.learn(batch, i + 1);
    const loss = file.alpha * mean(kl, count) + (1 - file.alpha) * mean(ce, count);
    steps.push({ loss, norm: await training.update(file, i + 1, count) });
  }
  const adapter = await training.parameters();
  await training.close();
  return { steps, adapter };
}

for (const microBatch of [2, 8]) {
  test(`the same adapter to the bit, micro-batches of ${microBatch} rows`, async () => {
    const out = join(fixture.folder, `run-${microBatch}`);
    const run = train({
      ...{ student: fixture.student, teacher: fixture.teacher, data: [fixture.jsonl], out },
      ...{
        batch: BATCH,
        sequence: SEQUENCE,
        steps: STEPS,
        seed: SEED,
        microBatch,
        shuffleRows: 5,
        evalFraction: 0,
      },
      ...{ alpha: file.alpha, temperature: file.temperature, rank: lora.rank, loraDropout: lora.dropout },
      ...{
        lr: file.learning_rate,
        warmup: file.warmup,
        weightDecay: file.weight_decay,
        clip: file.clip,
        threads: 1,
      },
    });
    const records = await lastValueFrom(run.metrics$.pipe(toArray()));
    const { steps, adapter } = await bareSteps(microBatch);
    const taken = records.filter((record) => record.type === 'step');
    assert.is(taken.length, STEPS);
    for (const [i, { loss, norm }] of steps.entries()) {
      assert.ok(Math.abs(taken[i]!.loss / loss - 1) < 1e-6, `loss ${taken[i]!.loss}, expected ${loss}`);
      assert.ok(
        Math.abs(taken[i]!.grad_norm! / norm - 1) < 1e-6,
        `norm ${taken[i]!.grad_norm}, expected ${norm}`,
      );
      assert.ok(norm > file.clip, 'the gradient is clipped');
    }
    const saved = readAdapter(join(out, 'adapter')).tensors;
    assert.equal([...saved.keys()].sort(), [...adapter.keys()].sort());
    for (const [name, data] of adapter) assert.equal(saved.get(name)!.data, data, name);
  });
}

test.run();
