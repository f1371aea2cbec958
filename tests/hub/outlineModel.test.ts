import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSafetensors } from '#src/formats/safetensors.js';
import { outlineModel } from '#src/hub/outlineModel.js';
import { makeFixture } from '../fixtures.js';
import { inputErrorOf } from '../inputErrors.js';
import { NAME, type Scene, withHub } from './scene.js';

/** Models of which everything is known but the weights themselves. */

const { student } = makeFixture('outline');
const SMALL = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const small = Object.fromEntries(SMALL.map((name) => [name, readFileSync(join(student, name))]));
const weights = readFileSync(join(student, 'model.safetensors'));
const whole = { ...small, 'model.safetensors': weights };

const outline = ({ hub, cache }: Scene, { offline = false, text = NAME } = {}) =>
  outlineModel(text, {
    environment: { endpoint: hub.endpoint, cache, offline, token: undefined },
    delay: async () => {},
  });

/** What the headers of a folder's weights say, places left out. */
const typesOf = (tensors: Iterable<[string, { dtype: string; shape: readonly number[] }]>) =>
  [...tensors].map(([name, { dtype, shape }]) => [name, dtype, shape]);

test('small files are fetched, of the weights the header alone', () =>
  withHub(whole, async (scene) => {
    const { folder, commit, headers } = await outline(scene);
    assert.is(folder, scene.snapshot);
    assert.is(commit, scene.hub.commit);
    assert.equal(readdirSync(folder).sort(), SMALL);
    const local = openSafetensors(join(student, 'model.safetensors')).tensors;
    assert.equal(typesOf(headers!), typesOf(local));
    const headerBytes = 8 + Number(weights.readBigUInt64LE(0));
    for (const range of scene.hub.rangesOf('large:model.safetensors')) {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range!)!;
      assert.ok(Number(from) < Number(to) && Number(to) < headerBytes, range);
    }
    assert.ok(scene.hub.rangesOf('large:model.safetensors').length > 0);
  }));

test('shards are those of the index', () => {
  const header = (name: string) => {
    const json = JSON.stringify({ [name]: { dtype: 'BF16', shape: [2, 2], data_offsets: [0, 8] } });
    const file = Buffer.alloc(16 + json.length);
    file.writeBigUInt64LE(BigInt(json.length));
    file.write(json, 8);
    return file;
  };
  const index = { metadata: {}, weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors' } };
  const shards = { 'm-1.safetensors': header('a'), 'm-2.safetensors': header('b') };
  const files = { ...small, 'model.safetensors.index.json': Buffer.from(JSON.stringify(index)) };
  const shape = [2, 2];
  return withHub({ ...files, ...shards }, async (scene) => {
    const expected = [
      ['a', 'BF16', shape],
      ['b', 'BF16', shape],
    ];
    assert.equal(typesOf((await outline(scene)).headers!), expected);
    await scene.hub.close();
    await withHub({ ...files, 'm-1.safetensors': header('a') }, async (other) => {
      assert.match(
        await inputErrorOf(() => outline(other)),
        /^someone\/tiny-llama: expected m-2\.safetensors among its files, found none; choose a model/,
      );
    });
  });
});

test('what is in the cache, or in a folder, has no headers to ask for', () =>
  withHub(whole, async (scene) => {
    await scene.resolve();
    const asked = scene.hub.requests.length;
    assert.is((await outline(scene)).headers, undefined);
    assert.is((await outline(scene, { text: student })).headers, undefined);
    assert.is(scene.hub.requests.length, asked);
  }));

test('offline, the small files in the cache are all there is', () =>
  withHub(whole, async (scene) => {
    assert.match(await inputErrorOf(() => outline(scene, { offline: true })), /HF_HUB_OFFLINE is set/);
    await outline(scene);
    const { folder, headers } = await outline(scene, { offline: true });
    assert.equal([folder, headers], [scene.snapshot, undefined]);
    // A run is not content with that.
    assert.match(
      await inputErrorOf(() => scene.resolve(NAME, { offline: true })),
      /found no model\.safetensors; unset HF_HUB_OFFLINE/,
    );
    await scene.resolve();
    assert.ok(existsSync(join(scene.snapshot, 'model.safetensors')));
  }));

test('a damaged header, and a model without safetensors, are told', async () => {
  const damaged = Buffer.from(weights);
  damaged[9] = 0xff;
  await withHub({ ...small, 'model.safetensors': damaged }, async (scene) => {
    assert.match(
      await inputErrorOf(() => outline(scene)),
      /^someone\/tiny-llama\/model\.safetensors: .*header/,
    );
  });
  await withHub(small, async (scene) => {
    assert.match(await inputErrorOf(() => outline(scene)), /expected model\.safetensors among its files/);
  });
});

test('a folder with a config and a tokenizer is an outline', async () => {
  const folder = join(makeFixture('outline-folder').folder, 'bare');
  mkdirSync(folder);
  for (const name of SMALL) writeFileSync(join(folder, name), small[name]!);
  assert.equal(await outlineModel(folder), { folder, commit: undefined, headers: undefined });
});

test.run();
