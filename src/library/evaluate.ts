import { readFileSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import type { MeanLoss } from '../evaluation/perplexity.js';
import { loadModel, type ModelOptions } from '../inference/model.js';
import { EVALUATE_OPTIONS, type EvaluateInput } from '../options/evaluate.js';
import { problemsOf, withDefaults } from '../options/table.js';

export interface Evaluation extends MeanLoss {
  readonly perplexity: number;
  /** Wall time of scoring, without loading. */
  readonly seconds: number;
}

/** Perplexity of a model on a text file: the library form of `node dist/evaluate.js`. */
export async function evaluate(
  input: EvaluateInput,
  onDownload?: ModelOptions['onDownload'],
): Promise<Evaluation> {
  const problems = problemsOf(EVALUATE_OPTIONS, { ...input });
  if (problems.length > 0) throw new InputError(problems.join('; '));
  const options = withDefaults(EVALUATE_OPTIONS, { ...input });
  const text = readText(options.perplexity);
  const model = await loadModel(options.model, { ...options, onDownload });
  try {
    const start = performance.now();
    const { nll, tokens } = await model.perplexity(text, options.perplexity);
    const seconds = (performance.now() - start) / 1000;
    return { tokens, nll, perplexity: Math.exp(nll), seconds };
  } finally {
    await model.close();
  }
}

/** The whole file as one document, whatever its name ends in. */
function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw new InputError(
      `${path}: expected a readable UTF-8 text file, found none (${(error as Error).message})`,
    );
  }
}
