import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '#src/data/random.js';
import { writeParameters } from '#src/formats/parameters.js';
import { readFloat32 } from '#src/formats/safetensors.js';
import { memorySource } from '#src/formats/tensors/source.js';
import {
  adapterConfig,
  type LoraOptions,
  loraModules,
  loraRank,
  loraScale,
  loraShapes,
} from '#src/model/lora.js';
import { openModelFiles } from '#src/model/modelFiles.js';
import { adapterChanges } from '#src/training/dynamics.js';
import { singularTriplets } from '#src/training/starts/singular.js';
import { STUDENT, writeModel } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

/** What adapters in files do to the weights of a model, against dW written out layer by layer. */

const cache = temporaryFolder('dynamics-cache');
process.env.RIVULET_CACHE = cache;
const files = openModelFiles(writeModel(temporaryFolder('dynamics-model'), STUDENT, 5));
const lora: LoraOptions = {
  ...{ rank: 3, alpha: 5, rsLora: false, dropout: 0, targetModules: ['q_proj', 'k_proj', 'down_proj'] },
  // More than half of the 16 rows of k_proj.
  rankPattern: { k_proj: 11 },
};
const quiet = { problem: (text: string) => assert.unreachable(text) };

type Factors = ReadonlyMap<string, Float32Array>;

/** Factors of one size or, for the layers in `unchanged`, with B = 0. */
function factors(seed: number, size: number, unchanged: readonly string[] = []): Factors {
  return new Map(
    [...loraShapes(files.config, lora)].map(([name, [rows = 0, columns = 0]], stream) => {
      const random = randomStream(seed, stream);
      const isZero = unchanged.some((module) => name.startsWith(module)) && name.endsWith('lora_B.weight');
      const data = Float32Array.from({ length: rows * columns }, (_, i) =>
        isZero ? 0 : size * (random(i) / 2 ** 31 - 1),
      );
      return [name, data];
    }),
  );
}

const sources = (tensors: Factors) =>
  [...loraShapes(files.config, lora)].map(([name, shape]) =>
    memorySource({ name, dtype: 'F32', shape }, tensors.get(name)!),
  );

async function written(trained: Factors, start?: Factors): Promise<string> {
  const folder = temporaryFolder('dynamics');
  const config = adapterConfig({ ...lora, ...(start && { start: 'pissa' as const }) }, 'base');
  await writeParameters(folder, { kind: 'adapter', config }, sources(trained), start && sources(start));
  return folder;
}

/** dW [out][in] of a layer. */
function changeOf(module: string, trained: Factors, start?: Factors): number[][] {
  const [rank, scale] = [loraRank(lora, module), loraScale(lora, module)];
  const product = (of: Factors, i: number, j: number, inputs: number) => {
    const [a, b] = ['A', 'B'].map((which) => of.get(`${module}.lora_${which}.weight`)!) as [
      Float32Array,
      Float32Array,
    ];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[i * rank + k]! * a[k * inputs + j]!;
    return sum;
  };
  const [out = 0, inputs = 0] = files.tensors.get(`${module}.weight`)!.shape;
  return Array.from({ length: out }, (_, i) =>
    Array.from(
      { length: inputs },
      (__, j) => scale * (product(trained, i, j, inputs) - (start ? product(start, i, j, inputs) : 0)),
    ),
  );
}

const squares = (x: Iterable<number>) => [...x].reduce((sum, value) => sum + value * value, 0);

/** By the definitions. */
function expected(module: string, trained: Factors, start?: Factors) {
  const change = changeOf(module, trained, start);
  const [out, inputs] = [change.length, change[0]!.length];
  const data = readFloat32(files.tensors.get(`${module}.weight`)!);
  const all = squares(change.flat());
  const matrix = Float32Array.from(change.flat());
  const [largest = 0] = singularTriplets({ out, inputs, data: matrix }, 'first', 1).values;
  const count = Math.min(loraRank(lora, module), Math.floor(Math.min(out, inputs) / 2));
  const share = (end: 'first' | 'last') => {
    const { left, right } = singularTriplets({ out, inputs, data }, end, count);
    const onLeft = left.map((u) =>
      squares(change[0]!.map((_, j) => change.reduce((sum, row, i) => sum + u[i]! * row[j]!, 0))),
    );
    const onRight = right.map((v) =>
      squares(change.map((row) => row.reduce((sum, value, j) => sum + value * v[j]!, 0))),
    );
    return [...onLeft, ...onRight].reduce((sum, part) => sum + part, 0) / all / 2;
  };
  return {
    norm: Math.sqrt(all / squares(data)),
    stableRank: all / largest ** 2,
    ...{ top: share('first'), bottom: share('last') },
  };
}

type Facts = ReturnType<typeof expected>;

function assertMeans(found: Facts, layers: readonly Facts[], changed = layers): void {
  const mean = (of: readonly Facts[], name: keyof Facts) =>
    of.reduce((sum, layer) => sum + layer[name], 0) / of.length;
  for (const name of ['norm', 'stableRank', 'top', 'bottom'] as const) {
    const wanted = mean(name === 'norm' ? layers : changed, name);
    // Singular vectors are kept in f32.
    assert.ok(Math.abs(found[name] - wanted) <= 1e-5 * wanted, `${name}: ${found[name]} for ${wanted}`);
  }
}

const modules = loraModules(files.config, lora);
const test = suite('dynamics of adapters');

test('means over layers, at several times', async () => {
  const times = [factors(1, 0.1), factors(2, 0.5)];
  const folders = [await written(times[0]!), await written(times[1]!)];
  const found = await adapterChanges(files, lora, folders, 2, quiet);
  assert.is(found.length, 2);
  times.forEach((trained, i) => {
    assertMeans(
      found[i]!,
      modules.map((module) => expected(module, trained)),
    );
  });
});

test('of an adapter that began with factors, what they were is taken away', async () => {
  const start = factors(3, 1);
  const moved = factors(4, 1e-3);
  const trained = new Map(
    [...start].map(([name, data]) => [name, data.map((x, i) => x + moved.get(name)![i]!)]),
  );
  const folder = await written(trained, start);
  const [found] = await adapterChanges(files, { ...lora, start: 'pissa' }, [folder], 1, quiet);
  assertMeans(
    found!,
    modules.map((module) => expected(module, trained, start)),
  );
});

test('layers that have not changed have a norm and no direction; where none has, all is 0', async () => {
  const [still, ...others] = modules;
  const trained = factors(5, 0.3, [still!]);
  const [found, none] = await adapterChanges(
    files,
    lora,
    [await written(trained), await written(factors(6, 1, modules))],
    2,
    quiet,
  );
  const layers = others.map((module) => expected(module, trained));
  const zero = { norm: 0, stableRank: 0, top: 0, bottom: 0 };
  assertMeans(found!, [zero, ...layers], layers);
  assert.equal(none, zero);
});

test('singular vectors are kept, and other numbers of threads have the same bits', async () => {
  const folder = await written(factors(7, 0.2));
  const [one] = await adapterChanges(files, lora, [folder], 1, quiet);
  const kept = readdirSync(join(cache, 'starts', '2')).length;
  assert.is(kept, 2 * modules.length);
  process.env.RIVULET_CACHE = temporaryFolder('dynamics-fresh');
  const [fresh] = await adapterChanges(files, lora, [folder], 2, quiet);
  process.env.RIVULET_CACHE = cache;
  assert.equal(fresh, one);
});

test('a cache that can not be written is told once and changes nothing', async () => {
  const folder = await written(factors(8, 0.2));
  const [before] = await adapterChanges(files, lora, [folder], 2, quiet);
  const blocked = temporaryFolder('dynamics-blocked');
  writeFileSync(join(blocked, 'starts'), '');
  process.env.RIVULET_CACHE = blocked;
  const problems: string[] = [];
  const [found] = await adapterChanges(files, lora, [folder], 2, { problem: (text) => problems.push(text) });
  process.env.RIVULET_CACHE = cache;
  assert.equal(found, before);
  assert.equal(problems.length, 1, problems.join('\n'));
  assert.match(problems[0]!, 'expected a folder to keep singular vectors in');
});

test('a folder without an adapter is refused, and a signal ends the work', async () => {
  const folder = temporaryFolder('dynamics-none');
  mkdirSync(join(folder, 'adapter'));
  const refused = await inputErrorOf(() => adapterChanges(files, lora, [folder], 2, quiet));
  assert.match(refused, 'adapter_config.json');
  const stop = new AbortController();
  stop.abort();
  const whole = await written(factors(9, 1));
  const stopped = adapterChanges(files, lora, [whole], 2, { ...quiet, signal: stop.signal });
  await stopped.then(
    () => assert.unreachable(),
    (error: Error) => {
      assert.is(error.name, 'RunError');
      assert.match(error.message, 'stopped');
    },
  );
});

test.run();
