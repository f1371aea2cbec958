import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Tuner, type Tuning } from '#src/devices/webgpu/tuner.js';
import { type Choices, readChoices, tuningFile, writeChoices } from '#src/devices/webgpu/tuningCache.js';
import { runCase } from '../ops/harness.js';
import { temporaryFolder } from '../support.js';
import { gpuSuite, openChanged, prepareNamed } from './gpuDevice.js';

const folder = temporaryFolder('tuner');
const { tests: tuning, test } = gpuSuite('tuner');

const CASE = 'linear 301 x 600 to 203, f32, no base';

/** What compiling a case with a tuner comes to, on an adapter that offers several variants of each product. */
async function tuneCase(effort: Tuning, file: string, given?: Choices) {
  const tuner = new Tuner(effort, file, given);
  const device = await openChanged({ lanes: undefined }, { tuner });
  const { queue } = device.gpu.device;
  const submit = queue.submit.bind(queue);
  let submits = 0;
  queue.submit = (buffers) => {
    submits++;
    submit(buffers);
  };
  const prepared = prepareNamed(CASE);
  const told: string[] = [];
  const session = await device.compile(prepared.module, ({ doing, done, total }) => {
    told.push(`${doing} ${done} of ${total}`);
  });
  const timed = submits > 0;
  for (const value of prepared.module.values.filter(({ role }) => role === 'output' || role === 'input')) {
    assert.ok(
      (await session.read(value)).every((x) => x === 0),
      `${value.name} is not zero`,
    );
  }
  await session.close();
  await runCase(device, prepared);
  await device.close();
  return { choices: tuner.choices, timed, told };
}

test('variants are timed once, remembered, and give right numbers', async () => {
  const file = join(folder, 'a', 'choices.json');
  const first = await tuneCase('quick', file);
  assert.ok(first.timed);
  const products = Object.keys(first.choices).length;
  assert.is.not(products, 0);
  const tuning = first.told.filter((line) => line.startsWith('tuning'));
  assert.is(tuning.length, products);
  assert.is(tuning.at(-1), `tuning ${products} of ${products}`);
  assert.equal(JSON.parse(readFileSync(file, 'utf8')), first.choices);
  const second = await tuneCase('quick', file);
  assert.not(second.timed);
  assert.equal(second.choices, first.choices);
  const kernels = second.told.length;
  assert.ok(kernels > 0);
  assert.equal(
    second.told,
    Array.from({ length: kernels }, (_, i) => `compiling ${i + 1} of ${kernels}`),
  );
});

test('off times nothing, reads nothing and writes nothing', async () => {
  const file = join(folder, 'b.json');
  const { choices, timed } = await tuneCase('off', file);
  assert.not(timed);
  assert.equal(choices, {});
  assert.not(existsSync(file));
});

test('the choices of a resumed run win over the cache, by any variant', async () => {
  const file = join(folder, 'c.json');
  const { choices } = await tuneCase('full', file);
  const [key] = Object.keys(choices);
  for (const name of ['generic 128 x 64', 'generic 16 x 128']) {
    const resumed = await tuneCase('quick', file, { [key!]: name });
    assert.is(resumed.choices[key!], name);
    assert.not(resumed.timed);
  }
});

tuning.run();

const cache = suite('tuning cache');

cache('lies in the folder of RIVULET_CACHE, one file for each adapter', () => {
  const before = process.env.RIVULET_CACHE;
  process.env.RIVULET_CACHE = folder;
  assert.is(
    tuningFile('nvidia hopper (NVIDIA H100, 550.54/1)'),
    join(folder, 'tuning', 'nvidia-hopper-NVIDIA-H100-550.54-1-.json'),
  );
  if (before === undefined) delete process.env.RIVULET_CACHE;
  else process.env.RIVULET_CACHE = before;
});

cache('adds to what is there, and takes a damaged file for none', () => {
  const file = join(folder, 'd.json');
  writeChoices(file, { a: 'x' });
  writeChoices(file, { b: 'y' });
  assert.equal(readChoices(file), { a: 'x', b: 'y' });
  writeFileSync(file, '{"a":');
  assert.equal(readChoices(file), {});
  writeFileSync(file, '{"a": 1, "b": "y"}');
  assert.equal(readChoices(file), { b: 'y' });
});

cache.run();
