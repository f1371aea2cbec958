import { copyFileSync, cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RunError } from '../base/errors.js';
import { publishFile, publishFolder } from './checkpointFiles.js';
import { type Shards, splitIntoShards, writeShards } from './modelShards.js';
import { openSafetensors } from './safetensors.js';
import { castSource } from './tensors/cast.js';
import { finiteSource, placeOf } from './tensors/finite.js';
import type { FloatDtype } from './tensors/floats.js';
import type { TensorSource } from './tensors/source.js';

/** The folder in a model's where transformers saves chat templates with names of their own. */
export const NAMED_TEMPLATES = 'additional_chat_templates';

/**
 * What makes a model of its weights and config, where it is there: the tokenizer in every form, chat templates. Of a folder
 * all that is in it.
 */
export const COMPANIONS: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  NAMED_TEMPLATES,
  'generation_config.json',
];

/** How the weights of a model are saved. */
export interface ModelForm {
  /** The type of all tensors, which the config then names; absent: each has its own, and the config says what it said. */
  readonly dtype?: FloatDtype | undefined;
  readonly dtypes: ReadonlyMap<string, FloatDtype>;
  /** Whether the head is the embedding, for the config. */
  readonly tiedEmbeddings: boolean;
}

/** As a config names them. */
const DTYPE_NAMES: Record<FloatDtype, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/**
 * Publishes a Hugging Face folder: weights, in shards where they are large, with the config and the tokenizer of the
 * model that was trained.
 * @param configFile the `config.json` the model was made from; its tokenizer lies beside it
 * @throws RunError when a tensor holds a number that its type can't hold
 */
export async function writeModel(
  folder: string,
  configFile: string,
  form: ModelForm,
  parameters: readonly TensorSource[],
): Promise<void> {
  const config = new TextEncoder().encode(configText(configFile, form));
  const sources = parameters.map((source) => inForm(source, form));
  const files = async (target: string) => {
    copyCompanions(dirname(configFile), target);
    publishFile(join(target, 'config.json'), [config]);
    await writeShards(target, splitIntoShards(sources));
  };
  if (existsSync(folder)) await files(folder);
  else await publishFolder(folder, files);
}

/**
 * Publishes a Hugging Face folder that is another one but for its weights: files beside them are copied, byte for byte, and
 * theirs say of themselves what they said.
 * @param shards by the names of the files of `model`
 * @throws RunError when `folder` exists
 */
export const writeModelLike = (folder: string, model: string, shards: Shards): Promise<void> =>
  publishFolder(folder, async (target) => {
    copyFileSync(join(model, 'config.json'), join(target, 'config.json'));
    copyCompanions(model, target);
    await writeShards(target, shards, (file) => openSafetensors(join(model, file)).metadata);
  });

/** What links stand for is copied: a cache of downloads is full of them. */
function copyCompanions(from: string, to: string): void {
  for (const name of COMPANIONS) {
    const source = join(from, name);
    if (existsSync(source)) cpSync(source, join(to, name), { recursive: true, dereference: true });
  }
}

function configText(configFile: string, { dtype, tiedEmbeddings }: ModelForm): string {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as Record<string, unknown>;
  if (dtype) config['dtype' in config ? 'dtype' : 'torch_dtype'] = DTYPE_NAMES[dtype];
  if ((config.tie_word_embeddings ?? false) !== tiedEmbeddings) config.tie_word_embeddings = tiedEmbeddings;
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** A parameter in the type it is saved in. */
function inForm(source: TensorSource, { dtype, dtypes }: ModelForm): TensorSource {
  const wanted = dtype ?? dtypes.get(source.name) ?? 'F32';
  const cast = castSource(source, wanted);
  if (cast === source) return source;
  return finiteSource(cast, ({ index, value }) => {
    const place = placeOf(index, source.shape).join(', ');
    return new RunError(
      `tensor ${source.name}: expected numbers that ${DTYPE_NAMES[wanted]} holds, found one that becomes ${value} at ` +
        `[${place}]; choose another --save-dtype and --resume`,
    );
  });
}
