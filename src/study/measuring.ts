import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { publishFile } from '../formats/checkpointFiles.js';
import { readJsonFile } from '../formats/json.js';
import { runPaths } from '../formats/runFolder.js';
import type { Preparation } from '../prepare/prepare.js';
import type { StudyConfig } from './config.js';
import { HeldOutTexts } from './heldOutText.js';
import { measure, type Subject } from './measures.js';
import { fromFolder } from './paths.js';

/** Form of the measures: those of another one are taken again. */
const FORM = 1;

export type Measures = Readonly<Record<string, number>>;

const keptSchema = z.record(z.string(), z.number());

/** Takes the measures of a study: of its cells, and once each of the models as they are. */
export class Measuring {
  /** Tells measures of one study's definition from those of others. */
  readonly definition: string;
  readonly #wanted: StudyConfig['measures'];
  readonly #texts = new HeldOutTexts();
  readonly #folder: string;
  readonly #identify: (model: string) => Promise<string>;
  readonly #signal: AbortSignal;

  /**
   * @param folder where measures of models as they are are kept
   * @param identify what tells a model's contents from others
   */
  constructor(
    { measures, folder }: StudyConfig,
    kept: string,
    identify: (path: string) => Promise<string>,
    signal: AbortSignal,
  ) {
    const { unrelated, examples } = measures;
    const at = (path: string) => fromFolder('data', path, folder);
    this.#wanted = {
      ...(unrelated !== undefined && { unrelated: at(unrelated) }),
      examples: Object.fromEntries(Object.entries(examples).map(([name, path]) => [name, at(path)])),
    };
    this.definition = hashOf({ FORM, measures });
    this.#folder = kept;
    this.#identify = identify;
    this.#signal = signal;
  }

  /** Of a cell whose run has ended, beside its held-out loss `nll`. */
  async ofCell(out: string, nll: number | undefined, prepared: Preparation): Promise<Measures> {
    const held = await this.#texts.of(prepared);
    const bits = held && nll !== undefined ? { bits_per_byte: nll / Math.LN2 / held.bytesPerToken } : {};
    if (!this.#wantsMore) return bits;
    const { adapter, model } = runPaths(out);
    const isWhole = prepared.artifact.kind === 'model';
    const subject = isWhole ? { model } : { model: prepared.models.student, adapter };
    const bare = await this.ofModel(prepared.models.student, prepared);
    return { ...bits, ...(await this.#measure(subject, prepared, bare)) };
  }

  /** Of a model without training, with its loss on the held-out text of a run. Kept for later starts. */
  async ofModel(model: string, prepared: Preparation): Promise<Measures> {
    const { sequence, evalData, evalTokens, evalFraction, data } = prepared.options;
    const facts = { sequence, evalData, evalTokens, evalFraction, data, definition: this.definition };
    const path = join(this.#folder, `model-${hashOf([await this.#identify(model), facts])}.json`);
    if (existsSync(path)) return readJsonFile(path, keptSchema, 'delete it');
    const held = await this.#texts.of(prepared);
    const measures = await this.#measure({ model }, prepared, undefined, held?.rows);
    mkdirSync(this.#folder, { recursive: true });
    publishFile(path, [new TextEncoder().encode(`${JSON.stringify(measures)}\n`)]);
    return measures;
  }

  get #wantsMore(): boolean {
    const { unrelated, examples } = this.#wanted;
    return unrelated !== undefined || Object.keys(examples).length > 0;
  }

  #measure(
    subject: Subject,
    { options }: Preparation,
    bare: Measures | undefined,
    heldOut?: Parameters<typeof measure>[1]['heldOut'],
  ): Promise<Measures> {
    const { device, kernels, tune, threads, sequence } = options;
    const loading = { device, kernels, tune, threads };
    return measure(subject, { ...this.#wanted, heldOut }, { loading, sequence, bare, signal: this.#signal });
  }
}

const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
