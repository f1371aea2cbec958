import { openModelWeights } from '../formats/safetensors.js';
import { readModelConfig } from './config.js';
import { type Checkpoint, checkWeights } from './weights.js';

/** Opens a Hugging Face folder and checks that its weights are those its config describes. Reads headers only. */
export function openCheckpoint(folder: string): Checkpoint {
  const checkpoint = { folder, config: readModelConfig(folder), tensors: openModelWeights(folder) };
  checkWeights(checkpoint);
  return checkpoint;
}
