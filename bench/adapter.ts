import { runProgram } from '#src/cli/program.js';
import { describeAdapter, findAdapter } from '#src/devices/webgpu/adapter.js';
import { Gpu } from '#src/devices/webgpu/gpu.js';
import { targetOf } from '#src/devices/webgpu/target.js';

/** Prints what the webgpu device finds on this machine, as one line of JSON: adapter, features, limits, matrices, memory. */
await runProgram(async () => {
  const adapter = await findAdapter();
  const { info, limits, features } = adapter;
  const { subgroupMatrixConfigs } = info as { subgroupMatrixConfigs?: Iterable<object> };
  const own = (object: object) => {
    const entries: [string, unknown][] = [];
    for (const name in object) entries.push([name, (object as Record<string, unknown>)[name]]);
    return Object.fromEntries(
      entries.filter(([, value]) => typeof value !== 'function' && typeof value !== 'object'),
    );
  };
  const found = {
    name: 'adapter',
    adapter: describeAdapter(info),
    info: own(info),
    features: [...features].sort(),
    limits: own(limits),
    matrices: [...(subgroupMatrixConfigs ?? [])].map(own),
  };
  const gpu = await Gpu.open(adapter);
  const { dialect } = gpu;
  const target = targetOf(adapter, dialect);
  const free_bytes = await gpu.freeBytes(2 ** 40);
  await gpu.close();
  process.stdout.write(`${JSON.stringify({ ...found, dialect, target, free_bytes })}
`);
});
