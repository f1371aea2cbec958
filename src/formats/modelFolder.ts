import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RunError } from '../base/errors.js';
import { publishFile, publishFolder } from './checkpointFiles.js';
import { splitIntoShards, writeShards } from './modelShards.js';
import { castSource } from './tensors/cast.js';
import { finiteSource, placeOf } from './tensors/finite.js';
import type { FloatDtype } from './tensors/floats.js';
import type { TensorSource } from './tensors/source.js';

const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
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
    for (const name of TOKENIZER_FILES) {
      const source = join(dirname(configFile), name);
      if (existsSync(source)) copyFileSync(source, join(target, name));
    }
    publishFile(join(target, 'config.json'), [config]);
    await writeShards(target, splitIntoShards(sources));
  };
  if (existsSync(folder)) await files(folder);
  else await publishFolder(folder, files);
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
