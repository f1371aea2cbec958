import { dirname, join } from 'node:path';
import { InputError } from '../base/errors.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { openModelWeights } from '../formats/modelShards.js';
import { readModelConfig, readModelConfigFile } from './config.js';
import { withHead } from './tiedHead.js';
import { checkWeights, type ModelFiles } from './weights.js';

/** Opens a Hugging Face folder and checks that its weights are those its config describes. Reads headers, and a head beside a tied embedding. */
export function openModelFiles(folder: string): ModelFiles {
  const found = { config: readModelConfig(folder), tensors: openModelWeights(folder) };
  const files = { folder, configFile: join(folder, 'config.json'), ...withHead(folder, found) };
  checkWeights(files);
  return files;
}

/** A model to be made from nothing: its config, with the tokenizer beside it. */
export const blankModelFiles = (configFile: string): ModelFiles => ({
  folder: dirname(configFile),
  configFile,
  config: readModelConfigFile(configFile),
  tensors: new Map(),
});

/** Tokens of a text that a model takes: its positions, or the window that its attention reaches. */
export const mostTokens = ({ config: { maxPositions, slidingWindow } }: Pick<ModelFiles, 'config'>): number =>
  Math.min(maxPositions, slidingWindow ?? maxPositions);

/**
 * @param flag what `sequence` is, for the message
 * @throws InputError when texts of `sequence` tokens are longer than the model or its attention reaches
 */
export function checkSequence(
  { folder, config }: ModelFiles,
  sequence: number,
  flag: '--sequence' | '--context' = '--sequence',
): void {
  const { maxPositions, slidingWindow } = config;
  const most = mostTokens({ config });
  if (sequence <= most) return;
  const what = sequence > maxPositions || slidingWindow === undefined ? 'positions' : 'attention window';
  const limit = what === 'positions' ? maxPositions : most;
  throw new InputError(`${flag}: expected at most ${limit}, the ${what} of ${folder}, found ${sequence}`);
}

/** @throws InputError when a token of the tokenizer has no row in the model's embedding */
export function checkTokenizer(
  { folder, config }: ModelFiles,
  { vocabularySize }: Pick<Tokenizer, 'vocabularySize'>,
): void {
  if (vocabularySize <= config.vocabularySize) return;
  throw new InputError(
    `${folder}: expected an embedding for each of the tokenizer's ${vocabularySize} tokens, ` +
      `found ${config.vocabularySize}; use the tokenizer that belongs to the model`,
  );
}
