import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Document, DocumentOptions } from '#src/data/documents.js';
import { runErrorOf } from '../../hub/scene.js';
import { blobName, FakeHub } from '../../hub/server.js';
import { inputErrorOf } from '../../inputErrors.js';
import { temporaryFolder } from '../../support.js';
import { shardPath, writeShards } from '../shards/support.js';
import { assertRestarts, compressed, jsonl, open, parquet, problemOf, read, textsOf } from './support.js';

/** Datasets on the Hub, read where they are: against a local server that speaks its API, with faults. */

const NAME = 'someone/stories';
const at = (path: string) => `hf://datasets/${NAME}${path}`;

/** Larger than two ranges. */
const LONG = Array.from({ length: 1200 }, (_, i) => `${i}: ${'long text '.repeat(800)}`);
const PAIR = ['first', 'second'];
const FILES: Readonly<Record<string, Buffer>> = {
  'README.md': Buffer.from('about'),
  'data/a.jsonl': Buffer.from(jsonl(['a', 'b', 'c'])),
  'data/b.jsonl.gz': compressed('gz', jsonl(['d', 'e']), [12]),
  'data/more/c d.parquet': parquet(['f', 'g'], { rowGroupSize: 1 }),
  'long.jsonl': Buffer.from(jsonl(LONG)),
  'long.jsonl.zst': compressed('zst', jsonl(LONG)),
  'pair.csv': Buffer.from(`text\n${PAIR.join('\n')}\n`),
};

interface Scene {
  readonly hub: FakeHub;
  readonly cache: string;
  readonly pauses: number[];
  readonly options: Omit<DocumentOptions, 'paths'> & { hub: NonNullable<DocumentOptions['hub']> };
}

async function withHub(test: (scene: Scene) => Promise<void>, files = FILES, token?: string): Promise<void> {
  const hub = await FakeHub.start(NAME, files, ['main', 'other'], 'dataset');
  const cache = join(temporaryFolder('hub-documents'), 'cache');
  const pauses: number[] = [];
  const environment = { endpoint: hub.endpoint, cache, offline: false, token };
  const delay = async (ms: number) => pauses.push(ms);
  try {
    await test({ hub, cache, pauses, options: { hub: { environment, delay } } });
  } finally {
    await hub.close();
  }
}

const reading = suite('a dataset on the Hub');

reading('is a file, a folder or a pattern of it', () =>
  withHub(async ({ options }) => {
    assert.equal(await textsOf(at('/data/a.jsonl'), options), ['a', 'b', 'c']);
    assert.equal(await textsOf(at('/data'), options), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    assert.equal(await textsOf(at('/data/**/*.parquet'), options), ['f', 'g']);
    assert.equal(await textsOf(at('@other/{pair,none}.csv'), options), PAIR);
    const everything = await textsOf(at(''), options);
    assert.is(everything.length, 7 + 2 * LONG.length + 2);
    const found = await read(await open(at('/data/more'), options));
    assert.is(found[0]!.id, `${at('/data/more/c d.parquet')}[0]`);
  }),
);

reading('restarts anywhere, in every kind of file', () =>
  withHub(async ({ options }) => {
    await assertRestarts(at('/data'), options);
    await assertRestarts(at('/pair.csv'), options);
    await assertRestarts(at('/long.jsonl'), options, 500);
    await assertRestarts(at('/long.jsonl.zst'), options, 500);
  }),
);

reading('is fetched in ranges, one ahead, and from the place on', () =>
  withHub(async ({ hub, options }) => {
    const source = await open(at('/long.jsonl'), options);
    const found = await read(source);
    assert.equal(
      found.map(({ text }) => text),
      LONG,
    );
    const size = FILES['long.jsonl']!.length;
    const ranges = hub.rangesOf('long.jsonl');
    assert.equal(
      ranges,
      ['0-4194303', '4194304-8388607', `8388608-${size - 1}`].map((range) => `bytes=${range}`),
    );
    const last = found.at(-1)!;
    await read(source, last.place);
    assert.is(
      hub.rangesOf('long.jsonl').at(-1),
      `bytes=${last.place.sources[0]!.at!.byteOffset}-${size - 1}`,
    );
  }),
);

reading('of Parquet only what the column takes', () => {
  const wide = Array.from({ length: 50_000 }, (_, i) => `${i} ${(i * 7919) % 10007}`);
  const file = parquet(wide, { codec: 'UNCOMPRESSED', rowGroupSize: 10_000 });
  return withHub(
    async ({ hub, options }) => {
      assert.equal(await textsOf(at('/wide.parquet'), options), wide);
      assert.ok(hub.rangesOf('large:wide.parquet').every((range) => range !== undefined));
      const found = await read(await open(at('/wide.parquet'), options));
      const before = hub.rangesOf('large:wide.parquet').length;
      await read(await open(at('/wide.parquet'), options), found.at(-1)!.place);
      const [tail, footer, ...pages] = hub.rangesOf('large:wide.parquet').slice(before);
      assert.is(tail, `bytes=${file.length - 8}-${file.length - 1}`);
      assert.ok(footer);
      const first = Number(/=(\d+)/.exec(pages[0]!)![1]);
      assert.ok(first > file.length / 2, 'the row groups before are left alone');
    },
    { 'wide.parquet': file },
  );
});

reading('of token shards what the documents from the place on take', () => {
  const examples = Array.from({ length: 5000 }, (_, i) => {
    const tokens = Uint32Array.from({ length: 1000 }, (_, t) => (i + 7 * t) % 50_000);
    return { tokens, bytes: 1000, fraction: i / 5000 };
  });
  const file = readFileSync(shardPath(writeShards(temporaryFolder('hub-shards'), examples)));
  return withHub(
    async ({ hub, options }) => {
      const source = await open(at('/ids/'), options);
      const found: Document[] = [];
      for await (const item of source.read()) found.push(item as Document);
      const idsOf = ({ example }: { example: unknown }) => [...(example as { tokens: Uint32Array }).tokens];
      assert.equal(
        found.map(idsOf),
        examples.map((example) => idsOf({ example })),
      );
      const before = hub.rangesOf('large:ids/tokens-00000.safetensors').length;
      const [last] = await source
        .read(found.at(-1)!.place)
        .next()
        .then(({ value }) => [value as Document]);
      assert.equal(idsOf(last!), idsOf(found.at(-1)!));
      const ranges = hub.rangesOf('large:ids/tokens-00000.safetensors').slice(before);
      const sizes = ranges.map((range) => {
        const [, first, end] = /=(\d+)-(\d+)/.exec(range!)!;
        return Number(end) - Number(first);
      });
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 20_000, sizes.join());
    },
    { 'ids/tokens-00000.safetensors': file },
  );
});

reading('is taken from the cache where that has a file, and offline from nowhere else', () =>
  withHub(async ({ hub, cache, options }) => {
    const repository = join(cache, `datasets--${NAME.replace('/', '--')}`);
    const path = 'data/a.jsonl';
    const blob = join(repository, 'blobs', blobName(path, FILES[path]!));
    const link = join(repository, 'snapshots', hub.commit, path);
    for (const file of [blob, link, join(repository, 'refs/main')])
      mkdirSync(dirname(file), { recursive: true });
    writeFileSync(blob, FILES[path]!);
    symlinkSync(blob, link);
    writeFileSync(join(repository, 'refs/main'), hub.commit);
    const online = await read(await open(at('/data/a.jsonl'), options));
    assert.equal(hub.rangesOf(path), []);
    const before = hub.requests.length;
    const { environment } = options.hub;
    const offline = { hub: { environment: { ...environment!, offline: true } } };
    assert.equal(await textsOf(at('/data'), offline), ['a', 'b', 'c']);
    assert.equal(
      (await read(await open(at('/data/a.jsonl'), offline), online[1]!.place)).map(({ text }) => text),
      ['b', 'c'],
      'places hold on both ways',
    );
    assert.is(hub.requests.length, before);
    assert.match(
      await problemOf('hf://datasets/someone/else/x.jsonl', offline),
      /expected a dataset in the cache .* \(HF_HUB_OFFLINE is set\), found none; unset HF_HUB_OFFLINE/,
    );
  }),
);

reading('gets the token, and the host it redirects to does not', () =>
  withHub(
    async ({ hub, options }) => {
      await textsOf(at('/data'), options);
      for (const { what, authorization } of hub.requests) {
        assert.is(authorization, what.startsWith('large:') ? undefined : 'Bearer secret', what);
      }
      assert.ok(hub.requests.some(({ what }) => what.startsWith('large:')));
    },
    FILES,
    'secret',
  ),
);
reading.run();

const failing = suite('a Hub that fails');

failing('for a while: dropped connections, short answers, 429 and 5xx are tried again', () =>
  withHub(async ({ hub, pauses, options }) => {
    hub.faults.set('info', [{ status: 500 }]);
    hub.faults.set('tree', [{ status: 429, headers: { 'retry-after': '7' } }]);
    hub.faults.set('long.jsonl', [
      { dropAfter: 1_000_000 },
      { endAfter: 500_000 },
      { status: 503 },
      { dropAfter: 10 },
      { status: 429, headers: { 'retry-after': '3' } },
    ]);
    assert.equal(await textsOf(at('/long.jsonl'), options), LONG);
    assert.equal(pauses.slice(0, 2), [1000, 7000]);
    assert.ok(pauses.includes(3000));
    assert.is(hub.faults.get('long.jsonl')!.length, 0);
    const starts = hub.rangesOf('long.jsonl').map((range) => Number(/=(\d+)/.exec(range!)![1]));
    assert.ok(
      starts.every((start, i) => i === 0 || start >= starts[i - 1]!),
      'it goes on where it broke off',
    );
  }),
);

failing('for good: five tries, then the run fails', () =>
  withHub(async ({ hub, pauses, options }) => {
    hub.faults.set(
      'data/a.jsonl',
      Array.from({ length: 9 }, () => ({ status: 500 })),
    );
    const message = await runErrorOf(textsOf(at('/data/a.jsonl'), options));
    assert.match(message, /data\/a\.jsonl: expected an answer from http.*, found HTTP 500; try again later/);
    assert.equal(pauses, [1000, 2000, 4000, 8000]);
  }),
);

failing('with another content than it lists: found once all is read', () =>
  withHub(async ({ hub, options }) => {
    const other = Buffer.from(jsonl(['a', 'b', 'X']));
    hub.faults.set('data/a.jsonl', [{ content: other }]);
    const message = await runErrorOf(textsOf(at('/data/a.jsonl'), options));
    assert.match(
      message,
      /data\/a\.jsonl: expected the content that http.* lists, found another content than/,
    );
    hub.faults.set('large:data/b.jsonl.gz', [{ content: Buffer.concat([FILES['data/b.jsonl.gz']!, other]) }]);
    assert.match(
      await runErrorOf(textsOf(at('/data/b.jsonl.gz'), options)),
      /b\.jsonl\.gz: expected the content .*, found \d+ bytes instead of \d+; try again/,
    );
  }),
);

failing('to send parts: small files are read, others refused', () =>
  withHub(async ({ hub, options }) => {
    hub.faults.set('data/a.jsonl', [{ noRange: true }]);
    assert.equal(await textsOf(at('/data/a.jsonl'), options), ['a', 'b', 'c']);
    hub.faults.set(
      'long.jsonl',
      Array.from({ length: 3 }, () => ({ noRange: true as const })),
    );
    assert.match(
      await runErrorOf(textsOf(at('/long.jsonl'), options)),
      /long\.jsonl: expected an answer with bytes 4194304 to 8388608, found HTTP 200; the server sends files only/,
    );
  }),
);

const REFUSED: Record<string, RegExp> = {
  'hf://datasets/someone/nothing/a.jsonl':
    /expected a dataset on http.*, found none \(401\); check the name, or log in/,
  [at('@nowhere/a.jsonl')]: /expected a branch, tag or commit of someone\/stories, found no nowhere/,
  [at('/nowhere.jsonl')]: /nowhere\.jsonl: expected files of text .*, found none; check the path/,
  [at('/README.md')]: /README\.md: expected a name that ends in .*, found \.md; convert it/,
  'hf://datasets/alone': /expected hf:\/\/datasets\/owner\/name\[@revision\]\/path, found another form/,
  'hf://models/a/b': /found another form/,
};
for (const [path, message] of Object.entries(REFUSED)) {
  failing(`refused: ${path}`, () =>
    withHub(async ({ options }) => assert.match(await inputErrorOf(() => open(path, options)), message)),
  );
}
failing.run();
