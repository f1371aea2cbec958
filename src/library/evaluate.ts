import { readFileSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import { untilStopped } from '../base/stopping.js';
import { type MeanLoss, SCORING } from '../evaluation/perplexity.js';
import { loadModel, type Model } from '../inference/model.js';
import type { ModelOptions, PerplexityOptions } from '../inference/options.js';
import { EVALUATE_OPTIONS, type EvaluateInput } from '../options/evaluate.js';
import { checkedOptions } from '../options/table.js';

export interface Evaluation extends MeanLoss {
  readonly perplexity: number;
  /** Wall time of scoring, without loading. */
  readonly seconds: number;
}

export interface EvaluateHooks {
  /** Told how far the download of a model by Hub name is. */
  readonly onDownload?: ModelOptions['onDownload'];
  /** Ends the work with a RunError, at once. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Perplexity of a model on a text file: the library form of `node dist/evaluate.js`.
 * @throws InputError for wrong options, models or texts; RunError when it is stopped
 */
export async function evaluate(input: EvaluateInput, hooks: EvaluateHooks = {}): Promise<Evaluation> {
  const { model, perplexity, json: _, ...options } = checkedOptions(EVALUATE_OPTIONS, input);
  const { signal } = hooks;
  return untilStopped(
    async () => {
      const text = readText(perplexity);
      return score(await loadModel(model, { ...options, ...hooks }), text, { name: perplexity, signal });
    },
    signal,
    SCORING,
  );
}

async function score(model: Model, text: string, options: PerplexityOptions): Promise<Evaluation> {
  try {
    const start = performance.now();
    const { nll, tokens } = await model.perplexity(text, options);
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
