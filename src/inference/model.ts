import { availableParallelism } from 'node:os';
import { InputError } from '../base/errors.js';
import { textTokens } from '../data/encoding.js';
import { evaluationRows } from '../data/packing/windows.js';
import { NO_LABEL, type Row } from '../data/packing.js';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.js';
import type { Device, Session } from '../devices/device.js';
import { openDevice } from '../devices/openDevice.js';
import { type MeanLoss, meanLoss, rowLogits } from '../evaluation/perplexity.js';
import { type Adapter, checkAdapter, readAdapter } from '../formats/adapter.js';
import { resolveModel } from '../hub/resolveModel.js';
import { loraOptions, loraShapes } from '../model/lora.js';
import { checkSequence, openModelFiles } from '../model/modelFiles.js';
import { type EvaluationModule, evaluationModule } from '../model/programs.js';
import { loadWeights } from '../model/weights.js';
import type { DownloadRecord } from '../records.js';

export interface ModelOptions {
  /** Tokens of a window. */
  readonly sequence: number;
  /** A PEFT adapter's folder. */
  readonly adapter?: string | undefined;
  /** As `--device`. */
  readonly device?: string;
  readonly kernels?: 'auto' | 'f32' | 'f16' | 'matrix';
  readonly tune?: 'off' | 'quick' | 'full';
  readonly threads?: number | undefined;
  /** Told how far the download of a model by Hub name is. */
  readonly onDownload?: ((record: DownloadRecord) => void) | undefined;
}

/** Windows are scored together up to about this many tokens. */
const RUN_TOKENS = 2048;

/** A model, with an adapter or without, ready to score text. Close it when done. */
export class Model {
  readonly tokenizer: Tokenizer;
  readonly #device: Device;
  readonly #session: Session;
  readonly #module: EvaluationModule;
  readonly #sequence: number;
  readonly #rows: number;

  constructor(
    tokenizer: Tokenizer,
    device: Device,
    session: Session,
    module: EvaluationModule,
    shape: { rows: number; sequence: number },
  ) {
    this.tokenizer = tokenizer;
    this.#device = device;
    this.#session = session;
    this.#module = module;
    this.#rows = shape.rows;
    this.#sequence = shape.sequence;
  }

  /**
   * Mean negative log-likelihood of a text, read as one document: BOS, then its tokens, cut into consecutive windows;
   * each window of N tokens predicts its own tokens 2..N from its own 1..N-1. BOS is what the tokenizer itself adds.
   */
  perplexity(text: string, name = 'text'): Promise<MeanLoss> {
    const tokens = textTokens(this.tokenizer, text, this.tokenizer.before, false);
    const rows: Row[] = [...evaluationRows({ tokens }, this.#sequence, name)];
    if (rows.length === 0)
      throw new InputError(`${name}: expected at least two tokens, found ${tokens.length}`);
    return this.score(rows);
  }

  /** The same of rows of windows, each of at most `sequence` tokens, as they come. */
  score(rows: Iterable<Row> | AsyncIterable<Row>, onScored?: (tokens: number) => void): Promise<MeanLoss> {
    const run = () => this.#session.run('evaluate');
    return meanLoss(this.#session, this.#module.evaluate, rows, this.#rows, run, onScored);
  }

  /** Logits f32 [tokens, V] of one document of at most `sequence` tokens. */
  logits(tokens: Uint32Array): Promise<Float32Array> {
    if (tokens.length === 0 || tokens.length > this.#sequence) {
      throw new InputError(`logits: expected 1 to ${this.#sequence} tokens, found ${tokens.length}`);
    }
    const positions = Uint32Array.from(tokens, (_, i) => i);
    const labels = new Int32Array(tokens.length).fill(NO_LABEL);
    const row = { tokens, positions, labels, filled: tokens.length, documents: [] };
    return rowLogits(this.#session, this.#module, [row]);
  }

  async close(): Promise<void> {
    await this.#device.close();
  }
}

/**
 * Loads a Hugging Face folder, or `owner/name[@revision]` from the cache or the Hub.
 * @throws InputError when model, adapter and device do not fit together
 */
export async function loadModel(model: string, options: ModelOptions): Promise<Model> {
  const { sequence, threads = availableParallelism(), onDownload: onProgress } = options;
  const { folder } = await resolveModel(model, { onProgress });
  const files = openModelFiles(folder);
  checkSequence(files, sequence);
  const adapter =
    options.adapter === undefined
      ? undefined
      : readAdapter((await resolveModel(options.adapter, { kind: 'adapter', onProgress })).folder);
  const lora = adapter && loraOptions(adapter.config);
  if (adapter && lora) checkAdapter(adapter, loraShapes(files.config, lora));
  const tokenizer = await loadTokenizer(folder);
  const shape = { rows: Math.max(1, Math.floor(RUN_TOKENS / sequence)), sequence };
  const module = evaluationModule(files, shape, lora);
  const device = await openDevice(options.device ?? 'auto', {
    threads,
    kernels: options.kernels,
    tune: options.tune,
  });
  try {
    const session = await device.compile(module.module);
    await loadWeights(session, files, module.weights);
    if (adapter) await writeFactors(session, module, adapter);
    return new Model(tokenizer, device, session, module, shape);
  } catch (error) {
    await device.close();
    throw error;
  }
}

async function writeFactors(
  session: Session,
  { lora }: EvaluationModule,
  { tensors }: Adapter,
): Promise<void> {
  for (const [name, value] of lora!.values) await session.write(value, tensors.get(name)!.data);
}
