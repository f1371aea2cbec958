import { Command, Option } from 'commander';
import { runProgram } from '#src/cli/program.js';
import { openDevice } from '#src/devices/openDevice.js';
import { prepare, runCase } from '#tests/ops/harness.js';
import { cases } from '#tests/ops/index.js';

/**
 * The cases of tests/ops on a device, without a test runner: after each op one JSON line with what passed so far and
 * the first errors, so that a run that is cut short has said something.
 */
const MOST_ERRORS = 5;

interface Options {
  readonly device: string;
  readonly kernels: 'auto' | 'f32' | 'f16' | 'matrix';
  readonly every: number;
}

async function main(): Promise<void> {
  const options = new Command('opCases')
    .option('--device <NAME>', 'webgpu | wasm', 'webgpu')
    .addOption(
      new Option('--kernels <KIND>', 'of webgpu').choices(['auto', 'f32', 'f16', 'matrix']).default('auto'),
    )
    .option('--every <N>', 'only each N-th case of an op', Number, 1)
    .parse()
    .opts<Options>();
  const open = () => openDevice(options.device, { kernels: options.kernels });
  let device = await open();
  const asked = [...new Set(cases.map(({ op }) => op))].map((op) =>
    cases.filter((opCase) => opCase.op === op).filter((_, index) => index % options.every === 0),
  );
  const of = asked.flat().length;
  const errors: string[] = [];
  let [passed, failed] = [0, 0];
  for (const ofOp of asked) {
    for (const opCase of ofOp) {
      try {
        await runCase(device, prepare(opCase), device.info.lossScaling);
        passed++;
      } catch (error) {
        failed++;
        errors.push((error as Error).message);
        // Whatever else it computed could not be trusted.
        if ((error as Error).name === 'DeviceLostError') device = await open();
      }
    }
    const shown = { op: ofOp[0]!.op, passed, failed, of, errors: errors.slice(0, MOST_ERRORS) };
    process.stdout.write(
      `${JSON.stringify({ name: 'ops', ...shown, description: device.info.description })}\n`,
    );
  }
  await device.close();
  if (failed === 0) return;
  process.stderr.write(`error: ${failed} of ${of} cases failed\n`);
  process.exitCode = 1;
}

await runProgram(main);
