import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { version } from '../base/version.js';
import type { Row } from '../data/packing.js';
import { publishFile } from '../formats/checkpointFiles.js';
import { readJsonFile } from '../formats/json.js';
import { runPaths } from '../formats/runFolder.js';
import type { Preparation } from '../prepare/prepare.js';
import type { StudyConfig } from './config.js';
import { HeldOutTexts, hashOfRows } from './heldOutText.js';
import type { Identities } from './identity.js';
import { measure, type Subject } from './measures.js';
import { fromFolder } from './paths.js';
import { type SharpnessSetting, sharpnessOfStart } from './startSharpness.js';

/** Form of the measures: those of another one are taken again. */
const FORM = 1;

export type Measures = Readonly<Record<string, number>>;

const keptSchema = z.record(z.string(), z.number());

/** Paths of texts to measure by. */
type Texts = Pick<StudyConfig['measures'], 'unrelated' | 'examples'>;

/** Takes the measures of a study: of its cells, and once each of the models as they are. */
export class Measuring {
  /** Tells measures of one study's definition, contents of its texts included, from those of others. */
  readonly definition: string;
  readonly #wanted: Texts;
  readonly #wantsSharpness: boolean;
  readonly #texts = new HeldOutTexts();
  readonly #setting: SharpnessSetting;

  private constructor(
    definition: string,
    wanted: Texts & { readonly sharpness: boolean },
    setting: SharpnessSetting,
  ) {
    const { sharpness, ...texts } = wanted;
    this.definition = definition;
    this.#wanted = texts;
    this.#wantsSharpness = sharpness;
    this.#setting = setting;
  }

  /**
   * @param setting `folder`: where measures of models as they are, and of starts, are kept
   * @throws InputError for a text that can't be read
   */
  static async of(
    { measures, folder }: StudyConfig,
    ofText: Identities['ofText'],
    setting: SharpnessSetting,
  ): Promise<Measuring> {
    const { sharpness } = measures;
    const wanted = await eachText(measures, async (path) => fromFolder('data', path, folder));
    const contents = await eachText(wanted, ofText);
    const definition = hashOf({ FORM, measures: { ...measures, ...contents } });
    return new Measuring(definition, { ...wanted, sharpness }, setting);
  }

  /** Of a cell whose run has ended, beside its held-out loss `nll`. */
  async ofCell(out: string, nll: number | undefined, prepared: Preparation): Promise<Measures> {
    const held = await this.#texts.of(prepared);
    const own = {
      ...(held && nll !== undefined && { bits_per_byte: nll / Math.LN2 / held.bytesPerToken }),
      ...(held && (await this.#ofStart(prepared, held.rows))),
    };
    if (!this.#wantsMore) return own;
    const { adapter, model } = runPaths(out);
    const isWhole = prepared.artifact.kind === 'model';
    const subject = isWhole ? { model } : { model: prepared.models.student, adapter };
    const bare = await this.ofModel(prepared.models.student, prepared);
    return { ...own, ...(await this.#measure(subject, prepared, bare)) };
  }

  /** A fork starts where another run has come to: it has none. */
  async #ofStart(prepared: Preparation, rows: readonly Row[]): Promise<Measures> {
    if (!this.#wantsSharpness || prepared.options.fork !== undefined) return {};
    return { sharpness: await sharpnessOfStart(prepared, rows, this.#setting) };
  }

  /** Of a model without training, with its loss on the held-out text of a run. Kept for later starts. */
  async ofModel(model: string, prepared: Preparation): Promise<Measures> {
    const { folder, identify, kernels } = this.#setting;
    const held = await this.#texts.of(prepared);
    const rows = held && hashOfRows(held.rows);
    const { sequence } = prepared.options;
    const facts = { version, kernels, sequence, rows, definition: this.definition };
    const path = join(folder, `model-${hashOf([await identify(model, 'model'), facts])}.json`);
    if (existsSync(path)) return readJsonFile(path, keptSchema, 'delete it');
    const measures = await this.#measure({ model }, prepared, undefined, held?.rows);
    mkdirSync(folder, { recursive: true });
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
    heldOut?: readonly Row[],
  ): Promise<Measures> {
    const { device, kernels, tune, threads, sequence } = options;
    const loading = { device, kernels, tune, threads };
    return measure(
      subject,
      { ...this.#wanted, heldOut },
      { loading, sequence, bare, signal: this.#setting.signal },
    );
  }
}

/** What becomes of each of the paths. */
async function eachText(
  { unrelated, examples }: Texts,
  become: (path: string) => Promise<string>,
): Promise<Texts> {
  const named: [string, string][] = [];
  for (const [name, path] of Object.entries(examples)) named.push([name, await become(path)]);
  return {
    ...(unrelated !== undefined && { unrelated: await become(unrelated) }),
    examples: Object.fromEntries(named),
  };
}

const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
