import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { runProgram } from '#src/cli/program.js';
import { type Part, partsOf, SCALES, type Scale } from './sittingParts.js';
import { type PartResult, type Result, summarize, tableOf } from './sittingSummary.js';

/**
 * All that is to be known about a GPU in one sitting. Each part is a process of its own with a limit, and what fails or
 * takes too long does not keep the others from running. OUT gets, while it goes on,
 *   results.jsonl   every result, with its part, and how each part ended
 *   log.txt         all that the parts printed
 *   summary.txt, summary.json   each measure with the peer's, the ratio, goal and floor
 *   tuning/         the fastest kernels found: RIVULET_CACHE=OUT uses them again
 * Ends with code 0 when it came to its end, whatever failed: that is in the summary.
 */

/** Leaves some of 9 minutes for unpacking and for copying results. */
const SECONDS = 520;
/** Less than this is not worth starting for. */
const LEAST_SECONDS = 3;
/** How long a killed process may take to be gone. */
const GRACE_MS = 2000;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

interface Ending {
  readonly status: 'ok' | 'failed' | 'stopped';
  readonly note: string;
}

/** Runs a command; `onResult` hears of each line of JSON that it prints, `onOutput` of everything. */
function execute(
  command: readonly string[],
  { seconds, out }: { seconds: number; out: string },
  onResult: (result: Result) => void,
  onOutput: (text: string) => void,
): Promise<Ending> {
  const [program, ...args] = command;
  const env = { ...process.env, RIVULET_CACHE: out, PYTHONUNBUFFERED: '1', NO_COLOR: '1' };
  const child = spawn(program!, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const errors = linesOf(child.stderr, onOutput, () => {});
  linesOf(child.stdout, onOutput, (line) => {
    const result = parsed(line);
    if (result) onResult(result);
  });
  return new Promise((finish) => {
    const stop = (note: string) => {
      killGroup(child.pid);
      setTimeout(() => finish({ status: 'stopped', note }), GRACE_MS).unref();
      child.once('exit', () => finish({ status: 'stopped', note }));
    };
    const timer = setTimeout(() => stop(`took more than ${Math.round(seconds)} s`), 1000 * seconds);
    stopCurrent = () => stop('the sitting was stopped');
    child.on('error', ({ message }) => finish({ status: 'failed', note: message }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const said = errors.findLast((line) => /error/i.test(line)) ?? errors.at(-1);
      const note = [signal ?? `code ${code}`, ...(said ? [said.slice(0, 200)] : [])].join(': ');
      finish(code === 0 ? { status: 'ok', note: '' } : { status: 'failed', note });
    });
  });
}

/** Ends the part that runs, when the sitting itself is told to end. */
let stopCurrent = (): void => {};
let wasStopped = false;

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** The lines of a stream so far, what is not a warning of Dawn's; `onLine` hears of each. */
function linesOf(
  stream: NodeJS.ReadableStream,
  onText: (text: string) => void,
  onLine: (line: string) => void,
): string[] {
  const lines: string[] = [];
  let rest = '';
  stream.on('data', (chunk) => {
    onText(String(chunk));
    const whole = (rest + chunk).split('\n');
    rest = whole.pop()!;
    for (const line of whole) {
      onLine(line);
      if (line.trim() !== '' && !line.startsWith('Warning:')) lines.push(line.trim());
    }
  });
  return lines;
}

function parsed(line: string): Result | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Result;
  } catch {
    return undefined;
  }
}

/** What a part may take: its seconds, up to twice that where those before it left time, never more than is left. */
function limitOf(parts: readonly Part[], index: number, left: number): number {
  const { seconds } = parts[index]!;
  const later = parts.slice(index + 1).reduce((sum, part) => sum + part.seconds, 0);
  return Math.min(left, Math.max(seconds, Math.min(2 * seconds, left - later)));
}

async function runPart(part: Part, limit: number, out: string): Promise<PartResult> {
  const { name, command, reason } = part;
  if (!command) return { part: name, status: 'skipped', note: reason!, seconds: 0, results: [] };
  if (limit < LEAST_SECONDS || wasStopped) {
    const note = wasStopped ? 'the sitting was stopped' : 'no time was left';
    return { part: name, status: 'skipped', note, seconds: 0, results: [] };
  }
  const log = (text: string) => appendFileSync(join(out, 'log.txt'), text);
  log(`\n== ${name}: ${command.join(' ')}\n`);
  const results: Result[] = [];
  const onResult = (result: Result) => {
    results.push(result);
    appendFileSync(join(out, 'results.jsonl'), `${JSON.stringify({ part: name, ...result })}\n`);
  };
  const begin = performance.now();
  const ending = await execute(command, { seconds: limit, out }, onResult, log);
  return { part: name, ...ending, seconds: (performance.now() - begin) / 1000, results };
}

interface Asked {
  readonly out: string;
  readonly peer: string | undefined;
  readonly scale: Scale;
  readonly seconds: number;
}

function parse(): Asked {
  const positive = (text: string): number => {
    if (!(Number(text) > 0)) throw new InvalidArgumentError('expected a number above 0.');
    return Number(text);
  };
  const program = new Command('sitting')
    .argument('<OUT>', 'folder of the results')
    .argument('[PEER]', 'PyTorch script of the same joint step')
    .addOption(
      new Option('--scale <WHICH>', 'small: for a GPU that is a program')
        .choices(Object.keys(SCALES))
        .env('RIVULET_SITTING')
        .default('full'),
    )
    .addOption(new Option('--seconds <N>', 'when it ends').argParser(positive).env('RIVULET_SITTING_SECONDS'))
    .parse();
  const [out, peer] = program.processedArgs.map((path) => path && resolve(path)) as [string, string?];
  const { scale: name, seconds } = program.opts<{ scale: keyof typeof SCALES; seconds?: number }>();
  const scale = SCALES[name];
  return { out, peer, scale, seconds: seconds ?? scale.patience * SECONDS };
}

async function main(): Promise<void> {
  const begin = performance.now();
  const { out, peer, scale, seconds } = parse();
  mkdirSync(out, { recursive: true });
  for (const file of ['results.jsonl', 'log.txt']) writeFileSync(join(out, file), '');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      wasStopped = true;
      stopCurrent();
    });
  }
  const parts = partsOf(scale, peer);
  const done: PartResult[] = [];
  let summary = summarize(scale, parts, done);
  for (const [index, part] of parts.entries()) {
    const left = seconds - (performance.now() - begin) / 1000;
    const result = await runPart(part, limitOf(parts, index, left), out);
    done.push(result);
    const { results: _, ...ending } = result;
    appendFileSync(join(out, 'results.jsonl'), `${JSON.stringify({ ...ending, name: 'part' })}\n`);
    process.stdout.write(`${result.part}: ${result.status}, ${result.seconds.toFixed(1)} s ${result.note}\n`);
    summary = summarize(scale, parts, done);
    writeFileSync(join(out, 'summary.json'), `${JSON.stringify(summary, null, 1)}\n`);
    writeFileSync(join(out, 'summary.txt'), tableOf(summary));
  }
  process.stdout.write(`\n${tableOf(summary)}`);
  // A killed process that will not die must not keep this one alive.
  process.exit();
}

await runProgram(main);
