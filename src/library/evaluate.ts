import { untilStopped } from '../base/stopping.js';
import { SCORING } from '../evaluation/perplexity.js';
import type { MeanLoss } from '../evaluation/scoring.js';
import { resolveModel } from '../hub/resolveModel.js';
import { loadModel, type Model } from '../inference/model.js';
import type { ModelOptions } from '../inference/options.js';
import { EVALUATE_OPTIONS, type EvaluateInput } from '../options/evaluate.js';
import { checkedOptions, type Resolved } from '../options/table.js';
import { type FoundText, findEvaluationText } from '../prepare/evaluationText.js';

export interface Evaluation extends MeanLoss {
  readonly perplexity: number;
  /** Documents that were scored, and those that could not be read. */
  readonly documents: number;
  readonly skipped: number;
  /** Wall time of scoring, without loading. */
  readonly seconds: number;
}

/** How far scoring is. */
export interface EvaluateProgress {
  readonly documents: number;
  /** Predicted ones. */
  readonly tokens: number;
  readonly seconds: number;
}

export interface EvaluateHooks {
  /** Told how far the download of a model by Hub name is. */
  readonly onDownload?: ModelOptions['onDownload'];
  readonly onProgress?: ((progress: EvaluateProgress) => void) | undefined;
  /** Ends the work with a RunError, at once. */
  readonly signal?: AbortSignal | undefined;
}

type Options = Resolved<typeof EVALUATE_OPTIONS>;

/**
 * Perplexity of a model on text, which is read as `train` reads it: the library form of `node dist/evaluate.js`. Each
 * document is cut into windows of its own; of conversations and completions what is learned is scored.
 * @throws InputError for wrong options, models or texts; RunError when it is stopped
 */
export async function evaluate(input: EvaluateInput, hooks: EvaluateHooks = {}): Promise<Evaluation> {
  const options = checkedOptions(EVALUATE_OPTIONS, input);
  const { onDownload, signal } = hooks;
  const work = async () => {
    const text = await findEvaluationText(options);
    const { folder } = await resolveModel(options.model, { onProgress: onDownload, signal });
    const { device, kernels, tune, threads, sequence, adapter } = options;
    const choices = { device, kernels, tune, threads, sequence, adapter, onDownload, signal };
    const model = await loadModel(folder, choices);
    try {
      return await score(model, text, { ...options, folder }, hooks);
    } finally {
      await model.close();
    }
  };
  return untilStopped(work, signal, SCORING);
}

async function score(
  model: Model,
  text: FoundText,
  options: Options & { readonly folder: string },
  { signal, onProgress }: EvaluateHooks,
): Promise<Evaluation> {
  const source = { tokenizer: model.tokenizer, folder: options.folder, name: options.model };
  let [documents, skipped] = [0, 0];
  const onDocument = (isLeftOut: boolean) => {
    if (isLeftOut) skipped++;
    else documents++;
  };
  const rows = await text.rows(source, { sequence: options.sequence, onDocument });
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const onScored = (tokens: number) => onProgress?.({ documents, tokens, seconds: elapsed() });
  const { nll, tokens } = await model.score(rows, { signal, onScored });
  return { tokens, nll, perplexity: Math.exp(nll), documents, skipped, seconds: elapsed() };
}
