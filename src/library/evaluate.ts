import { InputError } from '../base/errors.js';
import type { MeanLoss } from '../evaluation/perplexity.js';
import { resolveModel } from '../hub/resolveModel.js';
import { loadModel, type ModelOptions } from '../inference/model.js';
import { EVALUATE_OPTIONS, type EvaluateInput } from '../options/evaluate.js';
import { problemsOf, withDefaults } from '../options/table.js';
import { findEvaluationText } from '../prepare/evaluationText.js';

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
  readonly onDownload?: ModelOptions['onDownload'];
  readonly onProgress?: ((progress: EvaluateProgress) => void) | undefined;
}

/**
 * Perplexity of a model on text, which is read as `train` reads it: the library form of `node dist/evaluate.js`. Each
 * document is cut into windows of its own; of conversations and completions what is learned is scored.
 */
export async function evaluate(input: EvaluateInput, hooks: EvaluateHooks = {}): Promise<Evaluation> {
  const problems = problemsOf(EVALUATE_OPTIONS, { ...input });
  if (problems.length > 0) throw new InputError(problems.join('; '));
  const options = withDefaults(EVALUATE_OPTIONS, { ...input });
  const { onDownload, onProgress } = hooks;
  const text = await findEvaluationText(options);
  const model = await loadModel(options.model, { ...options, onDownload });
  try {
    const { folder } = await resolveModel(options.model);
    const source = { tokenizer: model.tokenizer, folder, name: options.model };
    let [documents, skipped] = [0, 0];
    const onDocument = (isLeftOut: boolean) => {
      if (isLeftOut) skipped++;
      else documents++;
    };
    const rows = await text.rows(source, { sequence: options.sequence, onDocument });
    const start = performance.now();
    const elapsed = () => (performance.now() - start) / 1000;
    const { nll, tokens } = await model.score(rows, (tokens) =>
      onProgress?.({ documents, tokens, seconds: elapsed() }),
    );
    return { tokens, nll, perplexity: Math.exp(nll), documents, skipped, seconds: elapsed() };
  } finally {
    await model.close();
  }
}
