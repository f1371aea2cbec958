import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '#src/base/errors.js';
import { openModelWeights, splitIntoShards, writeShards } from '#src/formats/modelShards.js';
import {
  openSafetensors,
  streamSafetensors,
  type TensorData,
  writeSafetensors,
} from '#src/formats/safetensors.js';
import { castSource } from '#src/formats/tensors/cast.js';
import { fileSource } from '#src/formats/tensors/file.js';
import { finiteSource } from '#src/formats/tensors/finite.js';
import { CHUNK_ELEMENTS, type TensorSource } from '#src/formats/tensors/source.js';
import { temporaryFolder } from '../support.js';
import { floatSource, numbers, readAll, sourcesIn } from './tensors.js';

/** Models are written from sources: one file, or shards with an index. */

const folder = temporaryFolder('shards');

const float32 = (shape: readonly number[], seed = 0): TensorData => ({
  ...{ dtype: 'F32', shape },
  data: numbers({ shape }, seed),
});

test('what is streamed has the bytes of what is written from memory', async () => {
  const tensors = new Map<string, TensorData>([
    ['b', float32([3, 5], 1)],
    ['half', { dtype: 'BF16', shape: [3], data: Uint16Array.of(1, 2, 3) }],
    ['long', float32([CHUNK_ELEMENTS + 3], 2)],
    ['mask', { dtype: 'U8', shape: [0, 2], data: new Uint8Array() }],
    ['a', float32([], 3)],
  ]);
  const [whole, streamed] = [join(folder, 'whole.safetensors'), join(folder, 'streamed.safetensors')];
  writeSafetensors(whole, tensors, { format: 'pt' });
  await streamSafetensors(streamed, sourcesIn(tensors), { format: 'pt' });
  assert.ok(readFileSync(streamed).equals(readFileSync(whole)));
  const again = join(folder, 'again.safetensors');
  await streamSafetensors(again, [...openSafetensors(streamed).tensors.values()].map(fileSource), {
    format: 'pt',
  });
  assert.ok(readFileSync(again).equals(readFileSync(whole)), 'from file to file');
});

test('a source that fails amid its chunks leaves the file that was there', async () => {
  const path = join(folder, 'kept.safetensors');
  writeSafetensors(path, new Map([['a', float32([2])]]));
  const before = readFileSync(path);
  const data = numbers({ shape: [CHUNK_ELEMENTS + 8] });
  data[CHUNK_ELEMENTS + 2] = Number.NaN;
  const broken = finiteSource(floatSource('a', [data.length], data));
  const error = await streamSafetensors(path, [broken]).then(
    () => undefined,
    (reason) => reason,
  );
  assert.instance(error, InputError);
  assert.ok(readFileSync(path).equals(before));
  const short: TensorSource = { ...floatSource('a', [2], new Float32Array(2)), shape: [3] };
  for (const [sources, message] of [
    [[short], /tensor a: expected 12 bytes \(F32 \[3\]\), found/],
    [
      [floatSource('a', [0], new Float32Array()), floatSource('a', [0], new Float32Array())],
      /one tensor a, found two/,
    ],
  ] as const) {
    const failure = await streamSafetensors(path, sources).then(
      () => undefined,
      (reason) => reason,
    );
    assert.match(failure.message, message);
    assert.ok(readFileSync(path).equals(before));
  }
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.unfinished')),
    [],
  );
});

/** [name, elements], 4 bytes each. */
const model = (sizes: readonly (readonly [string, number])[]): TensorSource[] =>
  sizes.map(([name, size], i) => floatSource(name, [size], numbers({ shape: [size] }, i)));

test('a model is split as huggingface_hub splits it', () => {
  const sources = model([
    ['embed', 10],
    ['huge', 200],
    ['w1', 40],
    ['w2', 50],
    ['w3', 11],
    ['norm', 1],
  ]);
  const names = (maxShardBytes?: number) =>
    [...splitIntoShards(sources, maxShardBytes === undefined ? {} : { maxShardBytes })].map(
      ([file, shard]) => [file, shard.map(({ name }) => name)] as const,
    );
  // Made with split_state_dict_into_shards_factory(..., max_shard_size=400) of huggingface_hub 2.4.
  assert.equal(names(400), [
    ['model-00001-of-00003.safetensors', ['huge']],
    ['model-00002-of-00003.safetensors', ['embed', 'w1', 'w2']],
    ['model-00003-of-00003.safetensors', ['w3', 'norm']],
  ]);
  assert.equal(names(1248), [['model.safetensors', sources.map(({ name }) => name)]]);
  assert.is(names(1247).length, 2);
  assert.is(names().length, 1);
});

test('shards and their index are read back, bit for bit', async () => {
  const sources = model([
    ['b', 300],
    ['c', 20],
    ['a', CHUNK_ELEMENTS + 1],
  ]);
  await writeShards(folder, splitIntoShards(sources, { maxShardBytes: 1280 }));
  const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
  assert.equal(index, {
    metadata: { total_size: 4 * (321 + CHUNK_ELEMENTS) },
    weight_map: {
      a: 'model-00001-of-00002.safetensors',
      b: 'model-00002-of-00002.safetensors',
      c: 'model-00002-of-00002.safetensors',
    },
  });
  assert.equal(Object.keys(index.weight_map), ['a', 'b', 'c']);
  const tensors = openModelWeights(folder);
  assert.is(tensors.size, 3);
  for (const source of sources) {
    const found = await readAll(fileSource(tensors.get(source.name)!));
    assert.equal(found, await readAll(source));
  }
  for (const file of new Set(Object.values(index.weight_map) as string[])) {
    assert.equal({ ...openSafetensors(join(folder, file)).metadata }, { format: 'pt' });
  }
});

test('weights that were there before are replaced, whatever shards they had', async () => {
  const target = temporaryFolder('replaced');
  writeFileSync(join(target, 'adapter_model.safetensors'), 'mine');
  const two = model([
    ['a', 10],
    ['b', 10],
  ]);
  const names = () => readdirSync(target).sort();
  const written = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  for (const [maxShardBytes, files] of [
    [40, [...written, 'model.safetensors.index.json']],
    [80, ['model.safetensors']],
    [40, [...written, 'model.safetensors.index.json']],
  ] as const) {
    await writeShards(target, splitIntoShards(two, { maxShardBytes }));
    assert.equal(names(), ['adapter_model.safetensors', ...files]);
    assert.equal([...openModelWeights(target).keys()].sort(), ['a', 'b']);
  }
});

test('a large model is written, cast and read in the memory of chunks', async () => {
  const large = join(temporaryFolder('stream'), 'model.safetensors');
  const zeros = new Uint8Array(4 * CHUNK_ELEMENTS);
  const count = 64;
  // 256 MiB that are never in memory.
  const source: TensorSource = {
    ...{ name: 'a', dtype: 'F32', shape: [count, CHUNK_ELEMENTS], origin: 'zeros' },
    async *read() {
      for (let i = 0; i < count; i++) yield { first: i * CHUNK_ELEMENTS, bytes: zeros };
    },
  };
  const held = () => process.memoryUsage().arrayBuffers;
  const before = held();
  let most = 0;
  const watched: TensorSource = {
    ...source,
    async *read() {
      for await (const chunk of source.read()) {
        most = Math.max(most, held() - before);
        yield chunk;
      }
    },
  };
  await streamSafetensors(large, [castSource(finiteSource(watched), 'BF16')]);
  assert.is(statSync(large).size % (count * CHUNK_ELEMENTS * 2) < 4096, true);
  for await (const { bytes } of fileSource(openSafetensors(large).tensors.get('a')!).read()) {
    most = Math.max(most, held() - before);
    assert.is(bytes.length, 2 * CHUNK_ELEMENTS);
  }
  // Half a chunk as it is written and one as it is read, in 4 bytes an element at most.
  assert.ok(most <= 8 * CHUNK_ELEMENTS, `${most} bytes`);
});

test.run();
