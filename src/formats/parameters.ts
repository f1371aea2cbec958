import { join } from 'node:path';
import { type AdapterConfig, type AdapterTensor, readAdapter, writeAdapter } from './adapter.js';
import { writeModel } from './modelFolder.js';
import { openSafetensors, readFloat32 } from './safetensors.js';

/** What a run makes: a PEFT adapter, or a whole model with the config and tokenizer of the one it began with. */
export type Artifact =
  | { readonly kind: 'adapter'; readonly config: AdapterConfig }
  | { readonly kind: 'model'; readonly configFile: string };

/** Publishes trained parameters as `folder/adapter` or `folder/model`. @returns that path */
export async function writeParameters(
  folder: string,
  artifact: Artifact,
  tensors: ReadonlyMap<string, AdapterTensor>,
): Promise<string> {
  const path = join(folder, artifact.kind);
  if (artifact.kind === 'adapter') await writeAdapter(path, artifact.config, tensors);
  else await writeModel(path, artifact.configFile, tensors);
  return path;
}

/** What `writeParameters` wrote into `folder`. */
export function readParameters(folder: string, kind: Artifact['kind']): Map<string, AdapterTensor> {
  if (kind === 'adapter') return readAdapter(join(folder, kind)).tensors;
  const { tensors } = openSafetensors(join(folder, kind, 'model.safetensors'));
  return new Map([...tensors].map(([name, info]) => [name, { shape: info.shape, data: readFloat32(info) }]));
}
