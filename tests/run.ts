/**
 * Runs every compiled test file in a process of its own: `node build/tests/run.js [--only SUITE] [FILTER]`.
 * SUITE is `long`, `interop` or `campaign`, whose files (a folder or a part of the file's name) are left out otherwise;
 * FILTER is a part of a path.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SUITES = ['long', 'interop', 'campaign'];
/** What takes longest starts first, so that nothing long runs alone at the end. */
const FIRST = [
  'devices/nullGpu',
  'run/resume',
  'run/options',
  'ops/webgpu',
  'ops/wasm',
  'run/',
  'data/tokenizer',
];
const AT_ONCE = 2;
const LIMIT_S = 600;
const LONG_LIMIT_S = 900;
const CAMPAIGN_LIMIT_S = 1800;
/** Installs PyTorch first, or waits for it. */
const INTEROP_LIMIT_S = 1500;
/** What a file may take to end once its last test has. */
const ENDING_S = 20;

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const testsRoot = dirname(fileURLToPath(import.meta.url));

const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true });
if (values.only !== undefined && !SUITES.includes(values.only)) {
  console.error(`Expected --only ${SUITES.join(', ')}, found ${values.only}`);
  process.exit(2);
}
const files = findTests(values.only, positionals[0] ?? '');
if (files.length === 0) {
  console.error('Expected at least one test file, found none: build first, or choose another filter');
  process.exit(2);
}
const results = await runAll(files);
const total = (key: keyof Result) => results.reduce((sum, result) => sum + result[key], 0);
process.exitCode = total('failed') > 0 ? 1 : 0;
console.log(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`);

/** Paths below build/tests of the files of a suite, or of those that belong to none, in the order to run them. */
function findTests(only: string | undefined, filter: string): string[] {
  return readdirSync(testsRoot, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => relative(testsRoot, join(entry.parentPath, entry.name)))
    .filter(
      (path) =>
        SUITES.find((suite) => path.split(/[/\\.]/).includes(suite)) === only && path.includes(filter),
    )
    .sort((a, b) => turnOf(a) - turnOf(b) || (a < b ? -1 : 1));
}

function turnOf(path: string): number {
  const first = FIRST.findIndex((start) => path.replaceAll('\\', '/').startsWith(start));
  return first === -1 ? FIRST.length : first;
}

async function runAll(paths: readonly string[]): Promise<Result[]> {
  const waiting = [...paths];
  const finished: Result[] = [];
  const worker = async () => {
    for (let path = waiting.shift(); path; path = waiting.shift()) finished.push(await runFile(path));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return finished;
}

async function runFile(path: string): Promise<Result> {
  const begin = performance.now();
  const { output, problem } = await execute(path);
  const result = summarize(output, problem !== undefined);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  if (result.failed > 0) console.log(`${output}\n${problem ?? ''}`.trimEnd());
  const counts = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  console.log(`${result.failed > 0 ? 'FAIL' : 'ok  '}  ${path}  ${seconds} s  ${counts}`);
  return result;
}

/** Everything the file printed, and what is wrong with how it ended. */
function execute(path: string): Promise<{ output: string; problem: string | undefined }> {
  const limit = limitOf(path);
  const env = { ...process.env, NO_COLOR: '1' };
  const child = spawn(process.execPath, [join(testsRoot, path)], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const chunks: Buffer[] = [];
  const printed = () => Buffer.concat(chunks).toString();
  let late: string | undefined;
  const end = (why: string) => {
    late ??= why;
    child.kill('SIGKILL');
    // Its own children may still hold them.
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  };
  const timers = [
    setTimeout(() => end(`took more than ${limit} s, in ${runningIn(printed())}`), limit * 1000),
  ];
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (!/^ {2}Duration:/m.test(chunk.toString())) return;
    timers.push(setTimeout(() => end(`did not end within ${ENDING_S} s of its last test`), ENDING_S * 1000));
  });
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      const output = printed();
      const problem = problemOf(output, late ?? signal ?? code);
      resolve({ output, problem: problem && `${path} ${problem}` });
    });
  });
}

function limitOf(path: string): number {
  if (path.includes('campaign')) return CAMPAIGN_LIMIT_S;
  if (path.includes('.long.')) return LONG_LIMIT_S;
  return path.includes('interop') ? INTEROP_LIMIT_S : LIMIT_S;
}

/** Where a file is: uvu prints a suite's name when it begins, and a mark for each test that ended. */
function runningIn(output: string): string {
  const line = output.split('\n').findLast((text) => /[•✘]|^ *\S/.test(text)) ?? '';
  const ended = line.match(/[•✘]/g)?.length ?? 0;
  const suite = line.replace(/[•✘].*$/, '').trim();
  return `test ${ended + 1}${suite === '' ? '' : ` of ${suite}`}`;
}

function problemOf(output: string, ending: string | number | null): string | undefined {
  if (typeof ending === 'string') return ending.startsWith('SIG') ? `was killed by ${ending}` : ending;
  if (ending !== 0) return `ended with code ${ending}`;
  const ran = summaryCount(output, 'Total') + summaryCount(output, 'Skipped');
  return ran > 0 ? undefined : 'ran no test: does it end with .run()?';
}

/** A number that uvu prints at the end of a file; its `Total` leaves skipped tests out. */
function summaryCount(output: string, label: 'Total' | 'Passed' | 'Skipped'): number {
  return Number(new RegExp(`^ {2}${label}: +(\\d+)$`, 'm').exec(output)?.[1] ?? 0);
}

function summarize(output: string, hasProblem: boolean): Result {
  const passed = summaryCount(output, 'Passed');
  const failed = summaryCount(output, 'Total') - passed;
  return {
    passed,
    skipped: summaryCount(output, 'Skipped'),
    failed: failed === 0 && hasProblem ? 1 : failed,
  };
}
