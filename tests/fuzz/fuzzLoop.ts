import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, RunError } from '#src/base/errors.js';
import { randomUint32 } from '#src/data/random.js';
import { temporaryFolder } from '../support.js';
import { makeDocumentTargets } from './documentTargets.js';
import type { TargetSet } from './fuzz.js';
import { pick } from './mutations.js';
import { makeTargets, type Target } from './targets.js';

/**
 * Damages files and loads them: `node build/tests/fuzz/fuzzLoop.js SET FIRST COUNT`. A case is its number, so
 * that FIRST 1 is one case again. Prints JSON lines: each case before it begins, and what was wrong with it.
 */

const SETS: Readonly<Record<TargetSet, () => Promise<Target[]>>> = {
  loaders: makeTargets,
  documents: makeDocumentTargets,
};

const LIMIT_S = 2;
/** Tables of a tokenizer, the chunk buffer, what a stack overflow would need: the same for every file. */
const FIXED_BYTES = 24 * 2 ** 20;
/** The YAML reader takes about 550 for brackets in brackets, and zod as many for a list of wrong entries. */
const BYTES_PER_FILE_BYTE = 800;
const MAX_MESSAGE = 20_000;

const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`);

/** Bytes in use now (garbage counts, so that a case's growth is what it took in all), or ever resident. */
const memory = () => {
  const { heapUsed, external } = process.memoryUsage();
  return { used: heapUsed + external, peak: process.resourceUsage().maxRSS * 1024 };
};

/** A copy of the target's folder with one file damaged. */
function damage(target: Target, number: number, folder: string) {
  let throws = 0;
  const dice = () => randomUint32(number, 1, throws++) / 2 ** 32;
  rmSync(folder, { recursive: true, force: true });
  cpSync(target.folder, folder, { recursive: true });
  const file = pick(dice, Object.keys(target.files));
  const path = join(folder, file);
  const { bytes, what } = pick(dice, target.files[file]!)(dice, readFileSync(path));
  writeFileSync(path, bytes);
  return { what: `${target.name} ${file}: ${what}`, fileBytes: statSync(path).size };
}

/** What a loader did that it must not do. */
async function problemOf(load: () => unknown, fileBytes: number, extra = 0): Promise<string | undefined> {
  const before = memory();
  const start = process.cpuUsage();
  let error: unknown;
  try {
    await load();
  } catch (thrown) {
    error = thrown;
  }
  const { user, system } = process.cpuUsage(start);
  const after = memory();
  const seconds = (user + system) / 1e6;
  if (seconds > LIMIT_S) return `took ${seconds} s`;
  const grown = Math.max(after.used - before.used, after.peak - before.peak);
  if (grown > FIXED_BYTES + extra + BYTES_PER_FILE_BYTE * fileBytes)
    return `took ${grown} bytes for a file of ${fileBytes}`;
  return error === undefined ? undefined : problemOfError(error);
}

function problemOfError(error: unknown): string | undefined {
  if (!(error instanceof InputError || error instanceof RunError)) {
    return `threw ${error instanceof Error ? error.stack : String(error)}`;
  }
  const { message } = error;
  if (/\p{Cc}/u.test(message)) return `more than one line: ${JSON.stringify(message.slice(0, 500))}`;
  if (message.length > MAX_MESSAGE)
    return `a message of ${message.length} characters: ${message.slice(0, 200)}`;
  return undefined;
}

const [first, count] = process.argv.slice(3).map(Number) as [number, number];
const targets = await SETS[process.argv[2] as TargetSet]();
const folder = temporaryFolder('fuzz-damaged');
mkdirSync(folder, { recursive: true });
// What is made at the first use counts for no case.
for (const { load, folder: whole } of targets) await load(whole);
const tally = { results: 0, errors: 0 };
for (let number = first; number < first + count; number++) {
  const target = targets[number % targets.length]!;
  const { what, fileBytes } = damage(target, number, folder);
  say({ number, what });
  let refused = false;
  const load = async () => {
    try {
      await target.load(folder);
    } catch (error) {
      refused = true;
      throw error;
    }
  };
  const problem = await problemOf(load, fileBytes, target.extraBytes);
  tally[refused ? 'errors' : 'results']++;
  if (problem !== undefined) say({ number, what, problem });
}
say({ tally });
rmSync(folder, { recursive: true });
