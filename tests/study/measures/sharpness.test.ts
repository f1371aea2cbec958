import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_LABEL, type Row } from '#src/data/packing.js';
import type { Session } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import { readFloat32 } from '#src/formats/safetensors.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { type StudentModule, type StudentOptions, studentModule } from '#src/model/programs.js';
import { loadWeights, ropeTable, sourcesOf } from '#src/model/weights.js';
import { Curvature, type FixedBatch } from '#src/study/measures/curvature.js';
import { fixedBatch, SHARPNESS, sharpness, startSharpness } from '#src/study/measures/sharpness.js';
import { STUDENT, writeModel } from '../../fixtures.js';
import { inputErrorOf } from '../../inputErrors.js';
import { Random } from '../../ops/cases.js';
import { Interpreter } from '../../program/interpreter.js';
import { temporaryFolder } from '../../support.js';

/** The Hessian of a model with few parameters: the program's own gradients against dense differences in f64. */

const SEQUENCE = 6;
const SMALL = {
  ...STUDENT,
  ...{ hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 2, head_dim: 4 },
};
const LORA = { rank: 1, alpha: 2, rsLora: false, dropout: 0.5, targetModules: ['q_proj', 'down_proj'] };
const files = openModelFiles(writeModel(temporaryFolder('sharpness'), SMALL, 7));

/** Rows of a text of few words, the last slot without a label. */
const rows = Array.from({ length: 3 }, (_, r): Row => {
  const tokens = Uint32Array.from({ length: SEQUENCE }, (__, i) => 300 + ((5 * i * i + 3 * r) % 11));
  const labels = Int32Array.from(tokens, (___, i) => (i + 1 < SEQUENCE ? tokens[i + 1]! : NO_LABEL));
  return { tokens, labels, positions: tokens.map((____, i) => i), filled: SEQUENCE, documents: [] };
});
const labelled = rows.length * (SEQUENCE - 1);

const OPTIONS: StudentOptions = {
  student: files,
  lora: { ...LORA, dropout: 0 },
  objective: { alpha: 0, temperature: 1, divergence: 'forward-kl', beta: 0.5 },
  optimizer: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
  ...{ recompute: false, lossScaling: false, microBatches: 2 },
  ...{ train: { rows: 2, sequence: SEQUENCE }, evaluate: { rows: 1, sequence: SEQUENCE } },
};
const batch: FixedBatch = fixedBatch(rows, 2);

/** Factors by name: B is 0 at a random start. */
function factors({ trained }: StudentModule, isRandom: boolean): Map<string, Float32Array> {
  const random = new Random(5);
  return new Map(
    [...trained.values].map(([name, { shape }]) => {
      const zero = isRandom && name.endsWith('lora_B.weight');
      const size = shape[0]! * shape[1]!;
      return [name, Float32Array.from({ length: size }, () => (zero ? 0 : 0.5 * random.normal()))];
    }),
  );
}

const fillWith = (isRandom: boolean) => async (session: Session, module: StudentModule) => {
  await loadWeights(session, sourcesOf(files), module.trained.training.weights);
  const start = factors(module, isRandom);
  for (const [name, value] of module.trained.values) await session.write(value, start.get(name)!);
};

/** Gradients of the mean loss in f64, by the ops' references. */
class Reference {
  readonly module = studentModule(OPTIONS);
  readonly #interpreter = new Interpreter(this.module.module);
  readonly #start: Float64Array;

  constructor(isRandom: boolean) {
    const { trained } = this.module;
    const { weights } = trained.training;
    for (const [name, value] of weights.values) this.#write(value, readFloat32(files.tensors.get(name)!));
    this.#write(weights.ropeTable, ropeTable(files.config, SEQUENCE));
    this.#start = Float64Array.from(
      [...factors(this.module, isRandom).values()].flatMap((data) => [...data]),
    );
  }

  get size(): number {
    return this.#start.length;
  }

  #write(value: Parameters<Interpreter['write']>[0], data: ArrayLike<number>): void {
    this.#interpreter.write(value, Float64Array.from(data));
  }

  /** At the start, with `by` added to parameter `index`. */
  gradient(index: number, by: number): Float64Array {
    const { step, optimizer, trained } = this.module;
    const at = this.#start.map((value, i) => (i === index ? value + by : value));
    let from = 0;
    for (const [name, value] of trained.values) {
      const size = value.shape[0]! * value.shape[1]!;
      this.#write(value, at.subarray(from, from + size));
      this.#write(optimizer.gradients.get(name)!, new Float64Array(size));
      from += size;
    }
    for (const { rows: part } of batch) {
      this.#write(step.tokens, part.tokens);
      this.#write(step.labels, part.labels);
      this.#write(step.positions, part.positions);
      this.#interpreter.run('step');
    }
    const sums = [...optimizer.gradients.values()].flatMap((value) => [...this.#interpreter.read(value)]);
    return Float64Array.from(sums, (sum) => sum / labelled);
  }

  /** By central differences, [n][n]. */
  hessian(): Float64Array[] {
    const e = 1e-4;
    return Array.from({ length: this.size }, (_, i) => {
      const behind = this.gradient(i, -e);
      return this.gradient(i, e).map((value, j) => (value - behind[j]!) / (2 * e));
    });
  }
}

const times = (h: readonly Float64Array[], v: ArrayLike<number>): Float64Array =>
  Float64Array.from(h, (row) => row.reduce((sum, value, j) => sum + value * v[j]!, 0));

/** By the power method on H + s, which is positive. */
function largestOf(h: readonly Float64Array[]): number {
  const shift = Math.max(...h.map((row) => row.reduce((sum, value) => sum + Math.abs(value), 0)));
  let v = Float64Array.from(h, (_, i) => Math.cos(i));
  let value = 0;
  for (let i = 0; i < 3000; i++) {
    const next = times(h, v).map((x, j) => x + shift * v[j]!);
    value = Math.hypot(...next) / Math.hypot(...v);
    v = next.map((x) => x / Math.hypot(...next));
  }
  return value - shift;
}

function unit(seed: number, size: number): Float32Array {
  const random = new Random(seed);
  const v = Float64Array.from({ length: size }, () => random.normal());
  return Float32Array.from(v, (x) => x / Math.hypot(...v));
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

const tests = suite('sharpness');
const device = await openDevice('wasm', { threads: 1 });
tests.after(() => device.close());

for (const isRandom of [false, true]) {
  const name = isRandom ? 'a random start, where B is 0' : 'an adapter';
  const reference = new Reference(isRandom);
  const h = reference.hessian();

  tests(`${name}: products are those of the Hessian, whatever the distance, and symmetric`, async () => {
    const module = studentModule(OPTIONS);
    const session = await device.compile(module.module);
    await fillWith(isRandom)(session, module);
    const [u, v] = [unit(1, reference.size), unit(2, reference.size)];
    const size = Math.hypot(...times(h, v));
    // Here rounding is all the error: it grows as the distance shrinks. Reached: 8e-3, 5e-4 and 1e-4 of the product's length.
    for (const [scale, tolerance] of [
      [1, 1.6e-2],
      [16, 1e-3],
      [64, 4e-4],
    ] as const) {
      const curvature = await Curvature.at(session, module, batch, scale);
      const [hu, hv] = [await curvature.product(u), await curvature.product(v)];
      await curvature.restore();
      const error = Math.hypot(...times(h, v).map((x, i) => x - hv[i]!));
      assert.ok(error <= tolerance * size, `scale ${scale}: off by ${error / size}`);
      assert.ok(Math.abs(dot(u, hv) - dot(v, hu)) <= tolerance * size, `scale ${scale}: not symmetric`);
    }
    await session.close();
  });

  tests(`${name}: the largest eigenvalue is that of the dense Hessian`, async () => {
    const expected = largestOf(h);
    const options = { iterations: reference.size, tolerance: 1e-3, seed: 0 };
    const found = await startSharpness(
      device,
      { student: files, lora: LORA },
      rows,
      fillWith(isRandom),
      options,
    );
    assert.ok(found.residual <= 1e-3 * found.value);
    assert.ok(Math.abs(found.value - expected) <= 2e-3 * expected, `${found.value}, expected ${expected}`);
  });
}

tests('leaves parameters and gradients as they were', async () => {
  const module = studentModule(OPTIONS);
  const session = await device.compile(module.module);
  await fillWith(false)(session, module);
  await sharpness(session, module, batch, { ...SHARPNESS, iterations: 2 });
  for (const [name, data] of factors(module, false)) {
    assert.equal(await session.read(module.trained.values.get(name)!), data);
    const gradient = (await session.read(module.optimizer.gradients.get(name)!)) as Float32Array;
    assert.ok(gradient.every((value) => value === 0));
  }
  await session.close();
});

tests('of all weights is found too', async () => {
  const fill = (session: Session, { trained }: StudentModule) =>
    loadWeights(session, sourcesOf(files), trained.training.weights);
  const found = await startSharpness(device, { student: files }, rows, fill, {
    ...SHARPNESS,
    iterations: 40,
  });
  assert.ok(found.value > 0 && found.residual <= SHARPNESS.tolerance * found.value, JSON.stringify(found));
});

tests('needs gradients in f32, and something to predict', async () => {
  const halved = studentModule({ ...OPTIONS, lossScaling: true });
  const session = await device.compile(halved.module);
  assert.match(await inputErrorOf(() => sharpness(session, halved, batch)), 'keeps gradients in f32');
  await session.close();
  const silent = rows.map((row) => ({ ...row, labels: row.labels.map(() => NO_LABEL) }));
  const message = await inputErrorOf(() =>
    startSharpness(device, { student: files, lora: LORA }, silent, fillWith(true)),
  );
  assert.match(message, 'expected text with a token to predict');
});

tests.run();
