import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytes, FILES, runErrorOf, type Scene, WEIGHTS, withHub } from './scene.js';
import { blobName, type Fault } from './server.js';

const faults = suite('faults on the way');
const LARGE = 'large:model.safetensors';

/** After these faults at the large file everything still arrives. */
const recovers = (
  what: string,
  at: string,
  list: readonly Fault[],
  check: (scene: Scene) => void | Promise<void>,
) =>
  faults(what, () =>
    withHub(FILES, async (scene) => {
      scene.hub.faults.set(at, [...list]);
      const { folder } = await scene.resolve();
      assert.ok(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS));
      await check(scene);
    }),
  );

recovers('a connection that breaks', LARGE, [{ dropAfter: 100_000 }], ({ hub, pauses }) => {
  assert.is(hub.rangesOf(LARGE).length, 2);
  assert.equal(pauses, [1000]);
});

recovers(
  'an answer that ends too early: the next one goes on there, and progress starts the count anew',
  LARGE,
  Array.from({ length: 8 }, () => ({ endAfter: 20_000 })),
  ({ hub, pauses }) => {
    const starts = Array.from({ length: 8 }, (_, i) => `bytes=${(i + 1) * 20_000}-`);
    assert.equal(hub.rangesOf(LARGE), [undefined, ...starts]);
    assert.equal(pauses, Array(8).fill(1000));
  },
);

recovers(
  'a server that ignores ranges sends everything again',
  LARGE,
  [{ endAfter: 100_000 }, { noRange: true }],
  ({ hub }) => assert.equal(hub.rangesOf(LARGE), [undefined, 'bytes=100000-']),
);

recovers(
  '429: the pause that it asks for',
  'tree',
  [{ status: 429, headers: { 'retry-after': '7' } }],
  ({ pauses }) => assert.equal(pauses, [7000]),
);

recovers(
  'failures of the server: pauses that double',
  'info',
  [{ status: 500 }, { status: 503 }, { status: 502 }],
  ({ pauses }) => assert.equal(pauses, [1000, 2000, 4000]),
);

recovers('no content where some was promised', LARGE, [{ dropAfter: 0 }], ({ pauses }) =>
  assert.equal(pauses, [1000]),
);

/** What a stopped program leaves behind. */
const unfinished = ({ repository }: Scene): string =>
  join(repository, 'blobs', `${blobName('model.safetensors', WEIGHTS)}.rivulet.incomplete`);

faults('a program that was stopped: the next one goes on', () =>
  withHub(FILES, async (scene) => {
    mkdirSync(join(scene.repository, 'blobs'), { recursive: true });
    writeFileSync(unfinished(scene), WEIGHTS.subarray(0, 123_456));
    const { folder } = await scene.resolve();
    assert.equal(scene.hub.rangesOf(LARGE), ['bytes=123456-']);
    assert.ok(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS));
  }),
);

for (const [what, leftover] of [
  ['damaged', bytes(9, 1000)],
  ['too long', bytes(9, WEIGHTS.length + 1)],
  ['whole but wrong', bytes(9, WEIGHTS.length)],
] as const) {
  faults(`what was left is ${what}: it is fetched from the start`, () =>
    withHub(FILES, async (scene) => {
      mkdirSync(join(scene.repository, 'blobs'), { recursive: true });
      writeFileSync(unfinished(scene), leftover);
      const { folder } = await scene.resolve();
      assert.ok(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS));
      assert.is(scene.hub.rangesOf(LARGE).at(-1), undefined);
    }),
  );
}

faults('the same model twice at once', () =>
  withHub(FILES, async ({ hub, repository, resolve }) => {
    hub.faults.set(LARGE, [{ endAfter: 150_000 }]);
    const [a, b] = await Promise.all([resolve(), resolve()]);
    assert.equal(a, b);
    assert.ok(readFileSync(join(a.folder, 'model.safetensors')).equals(WEIGHTS));
    const blobs = readdirSync(join(repository, 'blobs'));
    assert.equal(
      blobs.filter((name) => name.includes('.')),
      [],
    );
  }),
);

faults('other content than listed: an error, and nothing of it stays', () =>
  withHub(FILES, async (scene) => {
    const wrong = bytes(8, WEIGHTS.length);
    for (const content of [wrong, WEIGHTS.subarray(0, 1000), bytes(8, WEIGHTS.length + 70_000)]) {
      scene.hub.faults.set(
        LARGE,
        Array.from({ length: 9 }, () => ({ content })),
      );
      const message = await runErrorOf(scene.resolve());
      assert.match(message, /^someone\/tiny-llama: model\.safetensors: expected /);
      assert.not(existsSync(join(scene.snapshot, 'model.safetensors')));
    }
  }),
);

faults('other content of a small file: git hashes are checked, too', () =>
  withHub(FILES, async ({ hub, resolve, snapshot }) => {
    const content = Buffer.from(FILES['config.json']).fill('x', 3, 4);
    hub.faults.set('config.json', [{ content }]);
    const message = await runErrorOf(resolve());
    assert.match(
      message,
      /^someone\/tiny-llama: config\.json: expected the content that http.* lists, found another/,
    );
    assert.not(existsSync(join(snapshot, 'config.json')));
    await resolve();
    assert.ok(existsSync(join(snapshot, 'config.json')));
  }),
);

faults('five failures in a row are enough, and the next run goes on', () =>
  withHub(FILES, async ({ hub, pauses, resolve, snapshot }) => {
    hub.faults.set(LARGE, [{ endAfter: 90_000 }, ...Array.from({ length: 5 }, () => ({ status: 503 }))]);
    assert.match(
      await runErrorOf(resolve()),
      /model\.safetensors: expected .*, found HTTP 503; .*goes on from here$/,
    );
    assert.equal(pauses, [1000, 2000, 4000, 8000]);
    await resolve();
    assert.is(hub.rangesOf(LARGE).at(-1), 'bytes=90000-');
    assert.ok(readFileSync(join(snapshot, 'model.safetensors')).equals(WEIGHTS));
  }),
);

const onLinux = existsSync('/dev/full') ? faults : faults.skip;
onLinux('a full disk: says so, exit 1', () =>
  withHub(FILES, async (scene) => {
    mkdirSync(join(scene.repository, 'blobs'), { recursive: true });
    symlinkSync('/dev/full', unfinished(scene));
    const message = await runErrorOf(scene.resolve());
    assert.match(
      message,
      /model\.safetensors: expected room in the cache .*, found the disk full; free some/,
    );
  }),
);

faults('a cache that cannot be made', () =>
  withHub(FILES, async ({ cache, resolve }) => {
    writeFileSync(cache, 'a file');
    assert.match(
      await runErrorOf(resolve()),
      /^someone\/tiny-llama: tokenizer_config\.json: expected .*(EEXIST|ENOTDIR)/,
    );
  }),
);

faults.run();
