import { appendFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { Command, Option } from 'commander';
import { runProgram } from '#src/cli/program.js';
import type { Device } from '#src/devices/device.js';
import { openDevice } from '#src/devices/openDevice.js';
import { addBenches } from './add.js';
import { attentionBenches } from './attention.js';
import { cachedAttentionBenches } from './cached_attention.js';
import { columnSumBenches } from './column_sum.js';
import { commit } from './commit.js';
import { dropoutBenches } from './dropout.js';
import { embedBenches } from './embed.js';
import { type GenerationResult, measureGeneration } from './generation.js';
import { jointLossHeadBenches } from './joint_loss_head.js';
import { linearBenches } from './linear.js';
import { measureOp, type OpBench, type OpResult, type Sizes, sizesOf } from './measure.js';
import { optimizerBenches } from './optimizer.js';
import { peakOf } from './peaks.js';
import { rmsnormBenches } from './rmsnorm.js';
import { ropeBenches } from './rope.js';
import { scatterBenches } from './scatter.js';
import { RANK, ROWS, SEQUENCE, SHAPES, type ShapeName } from './shapes.js';
import { measureStep, type StepResult, tuneStep } from './step.js';
import { measureRead } from './streamRead.js';
import { swigluBenches } from './swiglu.js';

/** Every bench by name: one per op file. */
const OPS: Readonly<Record<string, (sizes: Sizes) => OpBench[]>> = {
  linear: linearBenches,
  column_sum: columnSumBenches,
  attention: attentionBenches,
  cached_attention: cachedAttentionBenches,
  joint_loss_head: jointLossHeadBenches,
  rmsnorm: rmsnormBenches,
  swiglu: swigluBenches,
  rope: ropeBenches,
  embed: embedBenches,
  add: addBenches,
  dropout: dropoutBenches,
  optimizer: optimizerBenches,
  scatter: scatterBenches,
};

/**
 * Beside them. Three run only when asked for: `tuning`, which finds the fastest kernels for a step and keeps them, and
 * `exchange` and `ranks`, which start several processes.
 */
const OTHERS = ['tuning', 'step', 'generation', 'tokenizer', 'documents', 'exchange', 'ranks'] as const;

interface Options {
  readonly only?: string;
  readonly shape: ShapeName;
  readonly device: string;
  readonly kernels: 'auto' | 'f32' | 'f16' | 'matrix';
  readonly tune: 'off' | 'quick' | 'full';
  readonly rank: number;
  readonly threads: number;
  readonly teacher: 'live' | 'cache' | 'none';
  readonly cacheDtype: 'f32' | 'bf16';
  readonly batch: number;
  readonly sequence: number;
  readonly recompute: boolean;
  readonly iterations: number;
  readonly json: boolean;
  readonly save?: string;
}

function parse(): Options {
  const number = (text: string) => Number(text);
  return new Command('bench')
    .description('Kernel throughput and the speed of the whole joint step.')
    .addOption(
      new Option('--only <NAME>', `an op, ${OTHERS.join(', ')}`).choices([...Object.keys(OPS), ...OTHERS]),
    )
    .addOption(new Option('--shape <NAME>', 'sizes').choices(Object.keys(SHAPES)).default('small'))
    .option('--device <NAME>', 'wasm | webgpu | webgpu:WHICH', 'wasm')
    .addOption(
      new Option('--kernels <KIND>', 'of webgpu').choices(['auto', 'f32', 'f16', 'matrix']).default('auto'),
    )
    .addOption(new Option('--tune <EFFORT>', 'of webgpu').choices(['off', 'quick', 'full']).default('quick'))
    .option('--rank <N>', 'of the adapter', number, RANK)
    .option('--threads <N>', 'compute threads', number, availableParallelism())
    .addOption(
      new Option('--teacher <WHICH>', 'in the step').choices(['live', 'cache', 'none']).default('live'),
    )
    .addOption(new Option('--cache-dtype <TYPE>', 'of its states').choices(['f32', 'bf16']).default('f32'))
    .option('--batch <N>', 'rows', number, ROWS)
    .option('--sequence <N>', 'tokens of a row', number, SEQUENCE)
    .option('--recompute', "compute the blocks' activations again in the backward pass", false)
    .option('--iterations <N>', 'timed steps', number, 5)
    .option('--json', 'one object a line', false)
    .option('--save <FILE>', 'append the results to a JSONL file')
    .parse()
    .opts<Options>();
}

function opLine(
  label: string,
  { gflops, gbps, seconds_p50 }: OpResult,
  peak: ReturnType<typeof peakOf>,
): string {
  const speed = `${gflops.toFixed(1).padStart(7)} GFLOP/s ${gbps.toFixed(1).padStart(7)} GB/s`;
  const share = peak ? Math.max(gflops / peak.gflops, gbps / peak.gbps) : 0;
  const ofPeak = peak ? `  ${(100 * share).toFixed(1)} % of peak` : '';
  return `${label.padEnd(52)} ${(seconds_p50 * 1000).toFixed(3).padStart(10)} ms ${speed}${ofPeak}`;
}

function stepLines(label: string, result: StepResult): string {
  const { tokens_per_s, seconds_p50, gflops, in_kernels, planned_bytes, peak_bytes, profile } = result;
  const total = profile.reduce((sum, op) => sum + op.ms, 0);
  const table = profile.map(
    ({ op, ms, flops, bytes }) =>
      `  ${op.padEnd(18)} ${((100 * ms) / total).toFixed(1).padStart(5)} %` +
      ` ${(flops / ms / 1e6).toFixed(1).padStart(7)} GFLOP/s ${(bytes / ms / 1e6).toFixed(1).padStart(7)} GB/s`,
  );
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  return [
    `${label}: ${tokens_per_s} tokens/s, ${(seconds_p50 * 1000).toFixed(0)} ms a step, ${gflops} GFLOP/s, ` +
      `${(100 * in_kernels).toFixed(1)} % in kernels, planned ${mib(planned_bytes)}, peak ${mib(peak_bytes)}`,
    ...table,
  ].join('\n');
}

/** Prints and saves a result; `readable` is it in words. */
type Publish = (result: Record<string, unknown>, readable: string) => void;

async function main(): Promise<void> {
  const options = parse();
  const { device: name, threads, shape, kernels, tune, rank } = options;
  const device = await openDevice(name, { threads, kernels, tune });
  const peak = peakOf(device.info.description);
  const facts = {
    device: device.info.name,
    description: device.info.description,
    threads,
    shape,
    node: process.version,
    cpu: cpus()[0]?.model,
    commit: commit(),
  };
  const publish: Publish = (result, readable) => {
    const line = JSON.stringify({ ...result, ...facts, date: new Date().toISOString() });
    process.stdout.write(`${options.json ? line : readable}\n`);
    if (options.save) appendFileSync(options.save, `${line}\n`);
  };
  const isAsked = (what: string) => (options.only ?? what) === what;
  const sizes = { rank, rows: options.batch, sequence: options.sequence };
  for (const [op, benches] of Object.entries(OPS).filter(([name]) => isAsked(name))) {
    for (const bench of benches(sizesOf(shape, sizes))) {
      try {
        const result = await measureOp(device, bench);
        publish({ name: op, case: bench.label, ...result }, opLine(bench.label, result, peak));
      } catch (error) {
        const { name: kind, message } = error as Error;
        if (kind === 'DeviceLostError') throw error;
        // What there is no room for is left out; one that fails is no reason to leave out the others.
        const isTooLarge = kind === 'InputError';
        process.stderr.write(`${isTooLarge ? 'skipped' : 'error'}: ${bench.label}: ${message}\n`);
        if (!isTooLarge) process.exitCode = 1;
      }
    }
  }
  const { teacher, cacheDtype, batch: rows, sequence, recompute, iterations } = options;
  const step = {
    ...{ shape, teacher, cacheDtype, batch: { rows, sequence } },
    ...{ rank, recompute, iterations },
  };
  if (options.only === 'tuning') {
    const seconds = await tuneStep(device, step);
    publish({ name: 'tuning', seconds }, `tuning ${shape}, ${tune}: ${seconds.toFixed(1)} s`);
  }
  if (isAsked('step')) {
    const result = await measureStep(device, step);
    const kind = teacher === 'cache' ? `teacher cache of ${cacheDtype}` : `teacher ${teacher}`;
    const label = `step ${shape} ${rows} x ${sequence}, ${kind}${recompute ? ', recompute' : ''}`;
    publish(
      {
        name: 'step',
        teacher,
        ...(teacher === 'cache' && { cacheDtype }),
        ...step.batch,
        recompute,
        ...result,
      },
      stepLines(label, result),
    );
  }
  if (isAsked('generation')) await publishGeneration(device, options, publish);
  if (isAsked('tokenizer')) await publishTokenizer(publish);
  if (isAsked('documents')) await publishDocuments(publish);
  if (options.only === 'exchange') await publishExchange(options, publish);
  if (options.only === 'ranks') await publishRanks(publish);
  await device.close();
}

/** Reading a prompt, writing for 1 and 8 prompts, and, on a CPU, what memory gives the same threads. */
async function publishGeneration(
  device: Device,
  { shape, threads }: Options,
  publish: Publish,
): Promise<void> {
  const tell = (name: string, { tokens_per_s, gbps, gflops, ...rest }: GenerationResult) =>
    publish(
      { name, ...rest, tokens_per_s, gbps, gflops },
      `${name} ${shape}, ${rest.rows} at once: ${tokens_per_s} tokens/s, ${gflops} GFLOP/s, ${gbps} GB/s of weights`,
    );
  let bytes = 0;
  for (const rows of [1, 8]) {
    const { prefill, decode } = await measureGeneration(device, shape, rows);
    if (prefill) tell('prefill', prefill);
    tell('decode', decode);
    bytes = decode.gbps * decode.seconds_p50 * 1e9;
  }
  if (device.info.name !== 'wasm') return;
  const rates = await measureRead(threads, bytes);
  const { one_stream, four_streams } = rates;
  publish(
    { name: 'read', ...rates, bytes },
    `read ${Math.round(bytes / 2 ** 20)} MiB: ${one_stream} GB/s, in four streams a thread ${four_streams} GB/s`,
  );
}

// These load what only they need, and what a machine for the other benches may lack: packages, tests.

async function publishTokenizer(publish: Publish): Promise<void> {
  const { measureTokenizer, tokenizerLines } = await import('./tokenizer.js');
  const report = await measureTokenizer();
  if (report) publish({ name: 'tokenizer', ...report }, tokenizerLines(report));
  else process.stderr.write('tokenizer: skipped, it needs the shared data\n');
}

async function publishDocuments(publish: Publish): Promise<void> {
  const { documentsLine, measureDocuments } = await import('./documents.js');
  for (const result of await measureDocuments()) {
    publish({ name: 'documents', ...result }, documentsLine(result));
  }
}

async function publishExchange({ shape, rank }: Options, publish: Publish): Promise<void> {
  const { exchangeLine, measureExchange } = await import('./exchange.js');
  await measureExchange(
    { model: shape, adapter_rank: rank },
    (result) => publish({ name: 'exchange', ...result }, exchangeLine(result)),
    tellSkipped,
  );
}

async function publishRanks(publish: Publish): Promise<void> {
  const { measureRanks, ranksLine } = await import('./ranks.js');
  await measureRanks((result) => publish({ name: 'ranks', ...result }, ranksLine(result)), tellSkipped);
}

function tellSkipped(reason: string): void {
  process.stderr.write(`${reason}\n`);
}

await runProgram(main);
