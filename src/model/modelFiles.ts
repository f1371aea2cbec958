import { dirname, join } from 'node:path';
import { z } from 'zod';
import { InputError } from '../base/errors.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { readJsonFile } from '../formats/json.js';
import { openModelWeights } from '../formats/modelShards.js';
import { bytesOf, type TensorInfo } from '../formats/safetensors.js';
import type { FloatDtype } from '../formats/tensors/floats.js';
import { type ModelConfig, readModelConfig, readModelConfigFile } from './config.js';
import { withHead } from './tiedHead.js';
import { checkWeights, EMBEDDING, HEAD, type ModelFiles, weightShapes } from './weights.js';

/** Opens a Hugging Face folder and checks that its weights are those its config describes. Reads headers, and a head beside a tied embedding. */
export function openModelFiles(folder: string): ModelFiles {
  const found = { config: readModelConfig(folder), tensors: openModelWeights(folder) };
  const files = { folder, configFile: join(folder, 'config.json'), ...withHead(folder, found) };
  checkWeights(files);
  return files;
}

/**
 * A model as far as it can be known without its weights: for plans, not to be loaded. Sizes are those of the headers; without
 * them, those that config.json describes, in the type that it names. A head beside a tied embedding is taken for the same.
 * @param headers what the headers of its weights say, by name
 * @throws InputError as `openModelFiles` does
 */
export function outlineModelFiles(
  folder: string,
  headers: ReadonlyMap<string, TensorInfo> | undefined,
): ModelFiles {
  const config = readModelConfig(folder);
  const configFile = join(folder, 'config.json');
  if (!headers)
    return { folder, configFile, config, tensors: describedIn(configFile, config), absent: 'config' };
  const [embedding, head] = [headers.get(EMBEDDING), headers.get(HEAD)];
  const isSwapped = config.tiedEmbeddings && !embedding && head;
  const tensors = isSwapped ? new Map([...headers, [EMBEDDING, head] as const]) : headers;
  const files: ModelFiles = { folder, configFile, config, tensors, absent: 'headers' };
  checkWeights(files);
  return files;
}

const DTYPES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;
const dtype = z.enum(
  Object.keys(DTYPES) as (keyof typeof DTYPES)[],
  `expected ${Object.keys(DTYPES).join(', ')}`,
);
const dtypeSchema = z.looseObject({ torch_dtype: dtype.nullish(), dtype: dtype.nullish() });

/** All weights, in the type that transformers would save them in: that of the config, else f32. */
function describedIn(path: string, config: ModelConfig): Map<string, TensorInfo> {
  const { dtype, torch_dtype } = readJsonFile(path, dtypeSchema);
  const type: FloatDtype = DTYPES[dtype ?? torch_dtype ?? 'float32'];
  const infos = [...weightShapes(config)].map(([name, shape]): [string, TensorInfo] => [
    name,
    { name, dtype: type, shape, path, byteOffset: 0, byteLength: bytesOf({ dtype: type, shape }) },
  ]);
  return new Map(infos);
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
