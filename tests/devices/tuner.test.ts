import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { layOut } from '#src/devices/webgpu/layout.js';
import type { Target } from '#src/devices/webgpu/lowering/lowering.js';
import { WebGpuSession } from '#src/devices/webgpu/session.js';
import { targetOf } from '#src/devices/webgpu/target.js';
import { Tuner, type Tuning } from '#src/devices/webgpu/tuner.js';
import { type Choices, readChoices, tuningFile, writeChoices } from '#src/devices/webgpu/tuningCache.js';
import { prepare, runCase } from '../ops/harness.js';
import { cases } from '../ops/index.js';
import { temporaryFolder } from '../support.js';

const folder = temporaryFolder('tuner');
const adapter = await findAdapter({ allowSoftware: true }).catch((error: Error) => error);
if (adapter instanceof Error) console.log(`webgpu is skipped: ${adapter.message}`);
const tuning = suite('tuner');
const test: typeof tuning = adapter instanceof Error ? (tuning.skip as typeof tuning) : tuning;

const CASE = 'linear 301 x 600 to 203, f32, no base';
const opCase = cases.find(({ op, label }) => `${op} ${label}` === CASE);

/** A target with several variants of each product, and what compiling a case on it with a tuner comes to. */
async function tuneCase(effort: Tuning, file: string, given?: Choices) {
  assert.ok(opCase, `tests/ops has no case "${CASE}" any more`);
  const found = await findAdapter({ allowSoftware: true });
  const gpu = await Gpu.open(found);
  const { lanes: _, ...target } = targetOf(found, 'f32') as Target;
  const tuner = new Tuner(effort, file, given);
  let submits = 0;
  const submit = gpu.device.queue.submit.bind(gpu.device.queue);
  gpu.device.queue.submit = (buffers) => {
    submits++;
    submit(buffers);
  };
  const prepared = prepare(opCase!);
  const session = await WebGpuSession.compile(gpu, prepared.module, target, tuner);
  const timed = submits > 0;
  for (const value of prepared.module.values.filter(({ role }) => role === 'output' || role === 'input')) {
    assert.ok(
      (await session.read(value)).every((x) => x === 0),
      `${value.name} is not zero`,
    );
  }
  await session.close();
  await runCase(
    {
      info: {
        ...{ name: 'webgpu', description: 'tuned', lossScaling: false },
        ...{ maxSessionBytes: 1e12, maxTotalBytes: 1e12, microBatchTokens: 1 },
      },
      plan: (module) => layOut(module, target).plan,
      compile: (module) => WebGpuSession.compile(gpu, module, target, tuner),
      attach: () => assert.unreachable('nobody attaches') as never,
      close: () => gpu.close(),
    },
    prepared,
  );
  await gpu.close();
  return { choices: tuner.choices, timed };
}

test('variants are timed once, remembered, and give right numbers', async () => {
  const file = join(folder, 'a', 'choices.json');
  const first = await tuneCase('quick', file);
  assert.ok(first.timed);
  assert.is.not(Object.keys(first.choices).length, 0);
  assert.equal(JSON.parse(readFileSync(file, 'utf8')), first.choices);
  const second = await tuneCase('quick', file);
  assert.not(second.timed);
  assert.equal(second.choices, first.choices);
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
