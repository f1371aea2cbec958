import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '#src/devices/openDevice.js';
import { CHUNK_ELEMENTS } from '#src/formats/tensors/source.js';
import { sessionSource } from '#src/model/sessionSource.js';
import { fillValue, loadTensor } from '#src/model/weights.js';
import { Builder } from '#src/program/builder.js';
import { add } from '#src/program/ops/add.js';
import { floatSource, numbers, readAll, readBytes } from '../formats/tensors.js';
import { inputErrorOf } from '../inputErrors.js';

/** Values of a session as sources, and sources into values. */

const SHAPE = [3, CHUNK_ELEMENTS / 2 + 1];

test('what is loaded is read back, whole and in ranges, in the type of the value', async () => {
  const b = new Builder();
  const value = b.value('parameter', 'w', SHAPE);
  b.program('twice', { arena: 'twice' }, () => add(b, value, value));
  const device = await openDevice('wasm', { threads: 1 });
  const session = await device.compile(b.module());
  const data = numbers({ shape: SHAPE });
  await loadTensor(session, floatSource('w', SHAPE, data), value);
  const source = sessionSource(session, value, 'model.w');
  assert.equal([source.name, source.dtype, source.shape], ['model.w', 'F32', SHAPE]);
  assert.ok((await readBytes(source)).equals(Buffer.from(data.buffer)));
  const [from, to] = [CHUNK_ELEMENTS - 5, CHUNK_ELEMENTS + 7];
  assert.equal(await readAll(source, from, to), data.slice(from, to));
  const rejected = await session.read(value, data.length - 1, 2).then(
    () => '',
    (error: Error) => error.message,
  );
  assert.match(rejected, `read w: expected a range of its ${data.length} elements`);
  data[data.length - 1] = Number.NaN;
  const broken = floatSource('w', SHAPE, data);
  const place = `found NaN at [2, ${CHUNK_ELEMENTS / 2}]`;
  assert.match(await inputErrorOf(() => loadTensor(session, broken, value)), place);
  await fillValue(session, broken, value);
  assert.ok(Number.isNaN((await readAll(source)).at(-1)));
  await device.close();
});

test.run();
