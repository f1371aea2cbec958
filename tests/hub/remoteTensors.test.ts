import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  openSafetensors,
  streamSafetensors,
  type TensorData,
  writeSafetensors,
} from '#src/formats/safetensors.js';
import { castSource } from '#src/formats/tensors/cast.js';
import { fileSource } from '#src/formats/tensors/file.js';
import { finiteSource } from '#src/formats/tensors/finite.js';
import { CHUNK_ELEMENTS } from '#src/formats/tensors/source.js';
import { openDataset } from '#src/hub/dataset.js';
import { remoteTensors } from '#src/hub/remoteTensors.js';
import { numbers, readAll, readBytes } from '../formats/tensors.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { FakeHub } from './server.js';

/** Tensors of files on the Hub, against a local server that speaks its API. */

const folder = temporaryFolder('remote-tensors');
const path = join(folder, 'w.safetensors');
const long = [3, CHUNK_ELEMENTS / 2 + 1];
const tensors = new Map<string, TensorData>([
  ['long', { dtype: 'F32', shape: long, data: numbers({ shape: long }) }],
  ['odd', { dtype: 'BF16', shape: [3], data: Uint16Array.of(0x3f80, 0x4000, 0x7f80) }],
  ['byte', { dtype: 'U8', shape: [1], data: Uint8Array.of(7) }],
]);
writeSafetensors(path, tensors);

async function withFile(
  content: Buffer,
  run: (hub: FakeHub, open: () => ReturnType<typeof remoteTensors>) => Promise<void>,
) {
  const hub = await FakeHub.start('someone/weights', { 'w.safetensors': content }, ['main'], 'dataset');
  const environment = {
    endpoint: hub.endpoint,
    cache: join(folder, 'cache'),
    offline: false,
    token: undefined,
  };
  try {
    const dataset = await openDataset('hf://datasets/someone/weights/w.safetensors', {
      environment,
      delay: async () => {},
    });
    const [file] = await dataset.list('w.safetensors');
    await run(hub, () => remoteTensors(dataset.bytes(file!)));
  } finally {
    await hub.close();
  }
}

test('tensors of a remote file are those of the file, whole, in ranges and cast; a break is taken up again', () =>
  withFile(readFileSync(path), async (hub, open) => {
    const remote = await open();
    const headerOnly = hub.rangesOf('large:w.safetensors').length;
    assert.ok(headerOnly <= 3, `${headerOnly} requests for the header`);
    hub.faults.set('large:w.safetensors', [{ dropAfter: 100_000 }]);
    const local = new Map([...openSafetensors(path).tensors].map(([name, info]) => [name, fileSource(info)]));
    assert.equal([...remote.keys()], [...local.keys()]);
    for (const [name, source] of local) {
      const there = remote.get(name)!;
      assert.equal([there.dtype, there.shape], [source.dtype, source.shape]);
      assert.ok((await readBytes(there)).equals(await readBytes(source)), name);
    }
    const [from, to] = [CHUNK_ELEMENTS - 3, CHUNK_ELEMENTS + 5];
    assert.equal(await readAll(remote.get('long')!, from, to), numbers({ shape: long }).slice(from, to));
    assert.equal(
      await readAll(castSource(remote.get('odd')!, 'F32')),
      Float32Array.of(1, 2, Number.POSITIVE_INFINITY),
    );
    assert.match(
      await inputErrorOf(() => readAll(finiteSource(remote.get('odd')!))),
      'hf://datasets/someone/weights/w.safetensors: tensor odd: expected finite numbers, found Infinity at [2]',
    );
    const copy = join(folder, 'copy.safetensors');
    await streamSafetensors(copy, remote.values());
    assert.ok(readFileSync(copy).equals(readFileSync(path)), 'from the Hub into a file');
  }));

test('a damaged remote file is refused by name', async () => {
  const whole = readFileSync(path);
  for (const [content, message] of [
    [whole.subarray(0, 5), /w\.safetensors: byte 0: expected at least 8 bytes, found 5/],
    [whole.subarray(0, whole.length - 3), /w\.safetensors: byte \d+: expected \d+ bytes, found \d+/],
    [Buffer.concat([Buffer.alloc(8, 255), whole]), /w\.safetensors: byte 0: expected a header length/],
  ] as const) {
    await withFile(Buffer.from(content), async (_, open) => {
      assert.match(await inputErrorOf(open), message);
    });
  }
});

test.run();
