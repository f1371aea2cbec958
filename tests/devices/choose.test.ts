import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseDevice } from '#src/devices/choose.js';
import { adapterOf, chooseName } from '#src/devices/webgpu/adapter.js';
import { inputErrorOf } from '../inputErrors.js';

const A770 = 'Intel(R) Arc(tm) A770 Graphics (DG2)';
const NAMES = ['llvmpipe (LLVM 15)', 'NVIDIA H100', A770, 'NVIDIA H100 PCIe', 'NVIDIA H100'];

test('a GPU is chosen by number, by a part of its name, or as the first that is hardware', () => {
  assert.is(chooseName(NAMES, undefined), 'NVIDIA H100');
  assert.is(chooseName(NAMES, '0'), NAMES[0]);
  assert.is(chooseName(NAMES, '3'), 'NVIDIA H100 PCIe');
  assert.is(chooseName(NAMES, 'A770'), A770);
  assert.is(chooseName(NAMES, 'PCIe'), 'NVIDIA H100 PCIe');
  assert.is(chooseName(NAMES.slice(0, 1), undefined), NAMES[0]);
});

test('a GPU that is not there is refused, with a list of those that are', async () => {
  for (const wanted of ['5', 'Radeon']) {
    const message = await inputErrorOf(() => chooseName(NAMES, wanted));
    assert.match(
      message,
      `--device webgpu:${wanted}: expected one of the GPUs 0 llvmpipe (LLVM 15), 1 NVIDIA`,
    );
  }
});

test('a GPU that Dawn would take another one for is refused', async () => {
  const twin = await inputErrorOf(() => chooseName(NAMES, '4'));
  assert.match(
    twin,
    /^--device webgpu:4: expected a name that no GPU before it has,.* use webgpu:1, or let each process see one GPU alone$/,
  );
  const prefix = await inputErrorOf(() => chooseName(['NVIDIA H100 PCIe', 'NVIDIA H100'], '1'));
  assert.match(prefix, /use webgpu:0, or let /);
});

test('what follows the first colon names the GPU, colons and all', async () => {
  assert.equal(await chooseDevice('webgpu'), { name: 'webgpu' });
  assert.equal(await chooseDevice('webgpu:1'), { name: 'webgpu', adapter: '1' });
  assert.equal(await chooseDevice('webgpu:GPU 0:3'), { name: 'webgpu', adapter: 'GPU 0:3' });
  assert.equal(await chooseDevice('wasm'), { name: 'wasm' });
});

test('ranks on one machine take its GPUs in turn, and none that is software', () => {
  const names = ['llvmpipe (LLVM 15)', 'NVIDIA H100', 'Intel Arc A770'];
  assert.equal(
    [0, 1, 2, 3].map((rank) => adapterOf(names, rank)),
    ['1', '2', '1', '2'],
  );
  assert.is(adapterOf(names, undefined), undefined);
  assert.is(adapterOf(names.slice(0, 1), 1), undefined);
  const twins = ['NVIDIA H100', 'NVIDIA H100'];
  assert.throws(() => chooseName(twins, adapterOf(twins, 1)), /let each process see one GPU alone/);
});

test.run();
