import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AdapterTensor } from './adapter.js';
import { publishFile, publishFolder } from './checkpointFiles.js';
import { writeSafetensors } from './safetensors.js';

const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'generation_config.json',
];

/**
 * Publishes a Hugging Face folder: f32 weights with the config and the tokenizer of the model that was trained.
 * @param configFile the `config.json` the model was made from; its tokenizer lies beside it
 */
export async function writeModel(
  folder: string,
  configFile: string,
  tensors: ReadonlyMap<string, AdapterTensor>,
): Promise<void> {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as Record<string, unknown>;
  const dtype = 'dtype' in config ? { dtype: 'float32' } : { torch_dtype: 'float32' };
  const text = `${JSON.stringify({ ...config, ...dtype }, null, 2)}\n`;
  const entries = [...tensors].map(
    ([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }] as const,
  );
  const files = (target: string) => {
    for (const name of TOKENIZER_FILES) {
      const source = join(dirname(configFile), name);
      if (existsSync(source)) copyFileSync(source, join(target, name));
    }
    publishFile(join(target, 'config.json'), [new TextEncoder().encode(text)]);
    writeSafetensors(join(target, 'model.safetensors'), new Map(entries), { format: 'pt' });
  };
  if (existsSync(folder)) files(folder);
  else await publishFolder(folder, files);
}
