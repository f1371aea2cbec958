import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Control } from '#src/devices/wasm/control.js';
import { layOut } from '#src/devices/wasm/layout.js';
import type { KernelStep, SessionCode } from '#src/devices/wasm/protocol.js';
import { Runner } from '#src/devices/wasm/runner.js';
import { compileWasm } from '#src/wasm/module.js';
import { record } from '../../ops/harness.js';
import { cases } from '../../ops/index.js';

/** TypeScript has no types for it without those of a browser. */
const { Memory } = (
  globalThis as unknown as { WebAssembly: { Memory: new (size: object) => SessionCode['memory'] } }
).WebAssembly;
const { pages, ...layout } = layOut(record(cases[0]!).module, 1);
const code: SessionCode = {
  ...layout,
  memory: new Memory({ initial: pages, maximum: pages, shared: true }),
};
const open = (code: SessionCode) => new Runner(new Control(1, 1), compileWasm('kernels'), 0).open(0, code);

/** The code with its first kernel call changed. */
const changed = (change: (call: KernelStep) => object): SessionCode => {
  const [program] = code.programs;
  const [call, ...calls] = program!.calls;
  return { ...code, programs: [{ ...program!, calls: [{ ...call!, ...change(call!) }, ...calls] }] };
};

/** tests/ops compiles every op. */
test('one argument more or less, and a kernel that is not there, are found when a program is compiled', () => {
  open(code);
  const { kernel, args } = code.programs[0]!.calls[0]!;
  const taken = args.length + 2;
  for (const [change, message] of [
    [() => ({ args: args.slice(1) }), `kernel ${kernel}: expected ${taken} arguments .*, found ${taken - 1}`],
    [() => ({ args: [...args, 0] }), `kernel ${kernel}: expected ${taken} arguments .*, found ${taken + 1}`],
    [() => ({ kernel: 'none' }), 'the kernel module has no none'],
  ] as const) {
    assert.throws(() => open(changed(change)), new RegExp(message));
  }
});

test.run();
