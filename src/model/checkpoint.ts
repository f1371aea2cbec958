import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import { openModelWeights } from '../formats/safetensors.js';
import { readModelConfig, readModelConfigFile } from './config.js';
import { type Checkpoint, checkWeights } from './weights.js';

/** Opens a Hugging Face folder and checks that its weights are those its config describes. Reads headers only. */
export function openCheckpoint(folder: string): Checkpoint {
  const configFile = join(folder, 'config.json');
  const checkpoint = {
    folder,
    configFile,
    config: readModelConfig(folder),
    tensors: openModelWeights(folder),
  };
  checkWeights(checkpoint);
  return checkpoint;
}

/** A model to be made from nothing: its config, with the tokenizer beside it. */
export const blankCheckpoint = (configFile: string): Checkpoint => ({
  folder: dirname(configFile),
  configFile,
  config: readModelConfigFile(configFile),
  tensors: new Map(),
});

/** @throws InputError when rows of `sequence` tokens are longer than the model or its attention reaches */
export function checkSequence({ folder, config }: Checkpoint, sequence: number): void {
  const { maxPositions, slidingWindow } = config;
  if (sequence > maxPositions) {
    throw new InputError(
      `--sequence: expected at most ${maxPositions}, the positions of ${folder}, found ${sequence}`,
    );
  }
  if (slidingWindow !== undefined && sequence > slidingWindow) {
    throw new InputError(
      `--sequence: expected at most ${slidingWindow}, the attention window of ${folder}, found ${sequence}`,
    );
  }
}
