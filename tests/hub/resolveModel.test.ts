import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readChatTemplate } from '#src/data/chat/source.js';
import type { DownloadRecord } from '#src/records.js';
import { inputErrorOf } from '../inputErrors.js';
import { bytes, FILES, json, NAME, NEEDED, withHub } from './scene.js';
import { blobName } from './server.js';

const resolving = suite('resolveModel');

resolving('fetches what is needed into the layout that all Hugging Face tools share', () =>
  withHub(FILES, async ({ hub, repository, snapshot, resolve }) => {
    assert.equal(await resolve(), { folder: snapshot, commit: hub.commit });
    assert.equal(readdirSync(snapshot).sort(), NEEDED);
    for (const file of NEEDED) {
      const content = FILES[file as keyof typeof FILES];
      const blob = blobName(file, content);
      assert.is(readlinkSync(join(snapshot, file)), `../../blobs/${blob}`);
      assert.ok(readFileSync(join(snapshot, file)).equals(content), file);
    }
    assert.is(readdirSync(join(repository, 'blobs')).length, NEEDED.length, 'and no leftovers');
    assert.is(readFileSync(join(repository, 'refs/main'), 'utf8'), hub.commit);
  }),
);

resolving('what is in the cache is used without a request', () =>
  withHub(FILES, async ({ hub, resolve, snapshot }) => {
    await resolve();
    const before = hub.requests.length;
    assert.is((await resolve()).folder, snapshot);
    assert.is((await resolve(NAME, { offline: true })).folder, snapshot);
    assert.is((await resolve(`${NAME}@${hub.commit}`)).folder, snapshot);
    assert.is(hub.requests.length, before);
  }),
);

resolving('a snapshot that lacks a file is completed, without fetching again what is there', () =>
  withHub(FILES, async ({ hub, repository, snapshot, resolve }) => {
    const blob = blobName('config.json', FILES['config.json']);
    for (const folder of [snapshot, join(repository, 'blobs'), join(repository, 'refs')]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(join(repository, 'refs/main'), hub.commit);
    writeFileSync(join(repository, 'blobs', blob), FILES['config.json']);
    symlinkSync(`../../blobs/${blob}`, join(snapshot, 'config.json'));
    await resolve();
    assert.equal(readdirSync(snapshot).sort(), NEEDED);
    assert.equal(hub.rangesOf('config.json'), []);
  }),
);

resolving('a tokenizer alone comes without weights; the model is completed later', () =>
  withHub(FILES, async ({ hub, snapshot, resolve }) => {
    assert.equal(await resolve(NAME, { kind: 'tokenizer' }), { folder: snapshot, commit: hub.commit });
    const files = ['tokenizer.json', 'tokenizer_config.json'];
    assert.equal(
      readdirSync(snapshot).sort(),
      NEEDED.filter((file) => files.includes(file)),
    );
    await resolve();
    assert.equal(readdirSync(snapshot).sort(), NEEDED);
  }),
);

resolving('a fetch of a commit that was cut short is completed', () =>
  withHub(FILES, async ({ hub, snapshot, resolve }) => {
    const tokenizer = () => resolve(`${NAME}@${hub.commit}`, { kind: 'tokenizer' });
    hub.faults.set('tokenizer_config.json', [{ status: 404 }]);
    await inputErrorOf(tokenizer);
    await tokenizer();
    assert.equal(readdirSync(snapshot).sort(), ['tokenizer.json', 'tokenizer_config.json']);
  }),
);

resolving('a model comes with every form of its tokenizer, as a folder that is saved of it', () => {
  const forms = [
    'special_tokens_map.json',
    'added_tokens.json',
    'tokenizer.model',
    'vocab.json',
    'merges.txt',
  ];
  const more = [...forms, 'generation_config.json'];
  const files = { ...FILES, ...Object.fromEntries(more.map((file, i) => [file, bytes(i, 100)])) };
  return withHub(files, async ({ snapshot, resolve }) => {
    await resolve(NAME, { kind: 'tokenizer' });
    assert.equal(readdirSync(snapshot).sort(), ['tokenizer.json', 'tokenizer_config.json']);
    await resolve();
    assert.equal(readdirSync(snapshot).sort(), [...NEEDED, ...more].sort());
  });
});

resolving('chat templates with names of their own come with their folder', () => {
  const named = { 'tool_use.jinja': Buffer.from('tools'), 'rag.jinja': Buffer.from('documents') };
  const paths = Object.keys(named).map((name) => `additional_chat_templates/${name}`);
  const templates = Object.fromEntries(Object.values(named).map((content, i) => [paths[i]!, content]));
  return withHub(
    { ...FILES, 'chat_template.jinja': Buffer.from('all'), ...templates },
    async ({ snapshot, resolve }) => {
      await resolve(NAME, { kind: 'tokenizer' });
      assert.equal(readChatTemplate(snapshot)?.templates, {
        default: 'all',
        rag: 'documents',
        tool_use: 'tools',
      });
    },
  );
});

resolving('an existing folder wins', () =>
  withHub(FILES, async ({ hub, cache, resolve }) => {
    const folder = join(cache, '..', NAME);
    mkdirSync(folder, { recursive: true });
    assert.equal(await resolve(folder), { folder, commit: undefined });
    assert.is(hub.requests.length, 0);
  }),
);

resolving('a link to nothing is no file that a model does without: fetched again, or refused', () =>
  withHub(FILES, async ({ hub, repository, snapshot, resolve }) => {
    await resolve();
    const file = 'tokenizer_config.json';
    rmSync(join(repository, 'blobs', blobName(file, FILES[file])));
    assert.match(
      await inputErrorOf(() => resolve(NAME, { offline: true })),
      /HF_HUB_OFFLINE is set\), found no tokenizer_config\.json; /,
    );
    for (const kind of ['model', 'tokenizer'] as const) {
      assert.is(
        await inputErrorOf(() => resolve(snapshot, { kind })),
        `${join(snapshot, file)}: expected a file, found a link to nothing; put the file there, or take the link away`,
      );
    }
    assert.equal(await resolve(), { folder: snapshot, commit: hub.commit });
    assert.ok(readFileSync(join(snapshot, file)).equals(FILES[file]));
    assert.is((await resolve(snapshot)).folder, snapshot);
  }),
);

resolving('branches, also with slashes, become refs; a commit does not', () =>
  withHub(
    FILES,
    async ({ hub, repository, snapshot, resolve }) => {
      assert.is((await resolve(`${NAME}@${hub.commit}`)).folder, snapshot);
      assert.not(existsSync(join(repository, 'refs')));
      assert.is((await resolve(`${NAME}@refs/pr/1`)).folder, snapshot);
      assert.is(readFileSync(join(repository, 'refs/refs/pr/1'), 'utf8'), hub.commit);
    },
    { branches: ['main', 'refs/pr/1'] },
  ),
);

const shards = { 'model-1.safetensors': bytes(4, 500), 'model-2.safetensors': bytes(5, 600) };
const { 'model.safetensors': _, ...small } = FILES;
const indexOf = (...files: string[]) => ({
  'model.safetensors.index.json': json({
    weight_map: Object.fromEntries(files.map((file, i) => [`w${i}`, file])),
  }),
});

resolving('a large model: the index, then the shards that it names', () =>
  withHub(
    { ...small, ...shards, ...indexOf('model-1.safetensors', 'model-2.safetensors', 'model-1.safetensors') },
    async ({ snapshot, hub, resolve }) => {
      await resolve();
      assert.equal(
        readdirSync(snapshot).filter((file) => file.startsWith('model')),
        ['model-1.safetensors', 'model-2.safetensors', 'model.safetensors.index.json'],
      );
      const before = hub.requests.length;
      await resolve();
      assert.is(hub.requests.length, before);
    },
  ),
);

resolving('an index that names what is not there, or outside', async () => {
  await withHub({ ...small, ...shards, ...indexOf('model-3.safetensors') }, async ({ resolve }) =>
    assert.match(
      await inputErrorOf(resolve),
      /expected model-3\.safetensors among its files, found config\.json, /,
    ),
  );
  await withHub({ ...small, ...indexOf('../../x.safetensors') }, async ({ resolve }) =>
    assert.match(
      await inputErrorOf(resolve),
      /expected the name of a file in this folder, found "\.\.\/\.\.\/x\.safetensors"/,
    ),
  );
});

resolving('an adapter is its config and its weights', () =>
  withHub(
    {
      'adapter_config.json': json({}),
      'adapter_model.safetensors': bytes(6, 900),
      'tokenizer.json': json({}),
    },
    async ({ resolve }) => {
      const { folder } = await resolve(NAME, { kind: 'adapter' });
      assert.equal(readdirSync(folder).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
      assert.match(await inputErrorOf(resolve), /expected config\.json among its files/);
    },
  ),
);

resolving('the token goes to the Hub, and not to the host it redirects to', () =>
  withHub(
    FILES,
    async ({ hub, resolve }) => {
      await resolve();
      for (const { what, authorization } of hub.requests) {
        assert.is(authorization, what.startsWith('large:') ? undefined : 'Bearer secret', what);
      }
      assert.ok(hub.requests.some(({ what }) => what === 'large:model.safetensors'));
    },
    { token: 'secret' },
  ),
);

resolving('progress grows up to the size of everything', () =>
  withHub(FILES, async ({ resolve }) => {
    const seen: DownloadRecord[] = [];
    await resolve(NAME, { onProgress: (progress) => seen.push(progress) });
    const total = NEEDED.reduce((sum, file) => sum + FILES[file as keyof typeof FILES].length, 0);
    const last = { type: 'download', model: NAME, file: 'model.safetensors' };
    assert.equal(seen.at(-1), { ...last, bytes: total, total_bytes: total });
    assert.ok(seen.every(({ bytes }, i) => i === 0 || bytes >= seen[i - 1]!.bytes));
    assert.ok(seen.some(({ file }) => file === 'tokenizer.json'));
  }),
);

resolving.run();
