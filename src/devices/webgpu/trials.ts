import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Module } from '../../program/types.js';
import type { TellCompiling } from '../device.js';
import type { AdapterOptions } from './adapter.js';
import type { Gpu } from './gpu.js';
import { layOut } from './layout.js';
import type { Dispatch, Target } from './lowering/lowering.js';
import type { Kernel } from './pipelines.js';
import type { Trial, TrialAnswer, TrialOrder } from './trialServer.js';
import type { Tuner } from './tuner.js';
import { readChoices, writeChoices } from './tuningCache.js';

/** Pipelines made side by side as long as none crashes. */
const AT_ONCE = 8;
/** After so many crashes whatever is left is left out too: the compiler is not up to such kernels. */
const MOST_CRASHES = 3;

/** The verdict on a pipeline that can be made; others say why it cannot. */
const MADE = 'made';

export interface TrialOptions {
  readonly adapter: AdapterOptions;
  /** Where verdicts are remembered. */
  readonly file: string;
  /** Tells the user. */
  readonly tell?: (note: string) => void;
  /** What runs in the process. */
  readonly program?: URL;
  /** A process that says nothing for so long hangs (default: two minutes). */
  readonly limitMs?: number;
}

/**
 * Pipelines on subgroup matrices are first made in a process of its own: some drivers' compilers crash of such kernels,
 * and would take the run down. What cannot be made is left out, and products by other kernels take its place. Verdicts
 * are remembered for an adapter with its driver.
 */
export class Trials {
  readonly #options: Required<TrialOptions>;
  readonly #verdicts: Map<string, string>;
  readonly #keys = new Map<string, string>();
  #hasTold = false;
  #crashes = 0;
  readonly #dawn = dawnVersion();
  #turn: Promise<unknown> = Promise.resolve();
  #isPossible = true;

  constructor(options: TrialOptions) {
    this.#options = {
      tell: (note) => process.emitWarning(note),
      program: new URL('./trialProcess.js', import.meta.url),
      limitMs: 120_000,
      ...options,
    };
    this.#verdicts = new Map(Object.entries(readChoices(this.#options.file)));
  }

  /**
   * The target without those kernels for a module whose pipelines the driver does not make.
   * @param tell hears of each kernel that is tried
   */
  admitted(
    gpu: Gpu,
    module: Module,
    target: Target,
    tuner: Tuner,
    tell: TellCompiling = () => {},
  ): Promise<Target> {
    // Modules that are compiled at the same time have kernels in common.
    const admitted = this.#turn.then(() => this.#admitted(gpu, module, target, tuner, tell));
    this.#turn = admitted.catch(() => {});
    return admitted;
  }

  async #admitted(
    gpu: Gpu,
    module: Module,
    target: Target,
    tuner: Tuner,
    tell: TellCompiling,
  ): Promise<Target> {
    if (!target.matrices) return target;
    const refused = new Map<string, Kernel>();
    const verdictOf = (kernel: Kernel) => this.#verdicts.get(this.#keyOf(gpu, kernel));
    const admits = (kernel: Kernel): boolean => {
      const isRefused = isRisky(kernel) && (verdictOf(kernel) ?? MADE) !== MADE;
      if (isRefused) refused.set(this.#keyOf(gpu, kernel), kernel);
      return !isRefused;
    };
    const admitted = { ...target, admits };
    // What takes the place of a kernel that is refused may be as new.
    for (;;) {
      const risky = kernelsOf(module, admitted, tuner).filter(isRisky);
      const unknown = risky.filter((kernel) => verdictOf(kernel) === undefined);
      if (unknown.length === 0 || !this.#isPossible) break;
      const trials = unknown.map((kernel) => [this.#keyOf(gpu, kernel), trialOf(gpu, kernel)] as const);
      await this.#judge(new Map(trials), tell);
    }
    this.#tellOf(gpu, refused);
    return admitted;
  }

  /** A kernel as the driver meets it, by Dawn's hands. */
  #keyOf(gpu: Gpu, kernel: Kernel): string {
    const { file, entry, types, constants } = kernel;
    const short = JSON.stringify([file, entry, types, constants]);
    const known = this.#keys.get(short);
    if (known !== undefined) return known;
    const { code, overrides } = gpu.pipelines.shader(kernel);
    const whole = JSON.stringify([this.#dawn, entry, code, overrides]);
    const key = `${entry} ${createHash('sha256').update(whole).digest('hex').slice(0, 32)}`;
    this.#keys.set(short, key);
    return key;
  }

  /** Gives each of the trials a verdict, unless there can be no trial at all. */
  async #judge(trials: ReadonlyMap<string, Trial>, tell: TellCompiling): Promise<void> {
    const open = new Map(trials);
    const found = new Map<string, string>();
    const settle = (key: string, verdict: string) => {
      open.delete(key);
      found.set(key, verdict);
      tell({ doing: 'compiling', done: found.size, total: trials.size });
    };
    let atOnce = AT_ONCE;
    for (; open.size > 0 && this.#crashes < MOST_CRASHES; atOnce = 1) {
      const keys = [...open.keys()];
      const { started, ending } = await this.#attempt([...open.values()], atOnce, (index, error) =>
        settle(keys[index]!, error ?? MADE),
      );
      if (!started) {
        this.#isPossible = false;
        this.#options.tell(
          `kernels on subgroup matrices are used untried: expected a process to make their pipelines first, found ${ending}`,
        );
        return;
      }
      // Of several that are made side by side it is not known which it was.
      const [culprit] = open.keys();
      if (atOnce === 1 && culprit !== undefined) {
        settle(culprit, `the driver's compiler ${ending}`);
        this.#crashes++;
      }
    }
    for (const key of open.keys()) settle(key, `the driver's compiler failed on ${MOST_CRASHES} others`);
    for (const [key, verdict] of found) this.#verdicts.set(key, verdict);
    writeChoices(this.#options.file, Object.fromEntries(found));
  }

  /** Makes pipelines in a process, as far as that gets. */
  #attempt(
    trials: readonly Trial[],
    atOnce: number,
    ended: (index: number, error: string | undefined) => void,
  ): Promise<{ started: boolean; ending: string }> {
    const { program, limitMs, adapter } = this.#options;
    const child = fork(program, { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    let started = false;
    let ending: string | undefined;
    const hangs = () => {
      ending = 'did not come to an end';
      child.kill('SIGKILL');
    };
    const timer = setTimeout(hangs, limitMs);
    child.on('message', (answer: TrialAnswer) => {
      timer.refresh();
      if (answer.type === 'open') started = true;
      else if (answer.type === 'failed') ending = answer.message;
      else ended(answer.index, answer.error);
    });
    return new Promise((resolve) => {
      const end = (how: string) => {
        clearTimeout(timer);
        resolve({ started, ending: ending ?? how });
      };
      child.once('error', (error) => end(error.message));
      // What it said last may come after its end.
      const heard = once(child, 'disconnect');
      child.once('exit', async (code, signal) => {
        await heard;
        end(signal ? `crashed (${signal})` : `exited with code ${code}`);
      });
      child.send({ adapter, trials, atOnce } satisfies TrialOrder, () => {});
    });
  }

  /** One line, once, about what is left out. */
  #tellOf(gpu: Gpu, refused: ReadonlyMap<string, Kernel>): void {
    const [first] = refused;
    if (!first || this.#hasTold) return;
    this.#hasTold = true;
    const [key, { entry }] = first;
    this.#options.tell(
      `${gpu.description}: ${refused.size} kernels on subgroup matrices are left out, others take their place ` +
        `(${entry}: ${this.#verdicts.get(key)}); to have them tried again, delete ${this.#options.file}`,
    );
  }
}

const isRisky = ({ constants }: Kernel): boolean => 'MATRIX_M' in constants;

const trialOf = (gpu: Gpu, kernel: Kernel): Trial => {
  const { file, entry } = kernel;
  return { file, entry, ...gpu.pipelines.shader(kernel) };
};

/** The kernels that a module may be run by: those of all variants that may be timed. */
function kernelsOf(module: Module, target: Target, tuner: Tuner): Dispatch[] {
  const kernels: Dispatch[] = [];
  const choose: Target['choose'] = (key, variants) => {
    const candidates = tuner.candidates(key, variants);
    kernels.push(...candidates.flatMap(({ dispatches }) => dispatches));
    return candidates[0];
  };
  const { programs } = layOut(module, { ...target, choose });
  return [...kernels, ...[...programs.values()].flat().flatMap(({ dispatches }) => dispatches)];
}

/** What Dawn makes of a kernel changes with its version. */
function dawnVersion(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('webgpu'));
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
}
