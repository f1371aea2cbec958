import { join } from 'node:path';
import { type AdapterConfig, openAdapter, writeAdapter } from './adapter.js';
import { type ModelForm, writeModel } from './modelFolder.js';
import { openModelWeights } from './modelShards.js';
import { withStart } from './startFactors.js';
import { fileSource } from './tensors/file.js';
import type { TensorSource } from './tensors/source.js';

/** What a run makes: a PEFT adapter, or a whole model with the config and tokenizer of the one it began with. */
export type Artifact =
  | { readonly kind: 'adapter'; readonly config: AdapterConfig }
  | { readonly kind: 'model'; readonly configFile: string; readonly form: ModelForm };

/**
 * Publishes trained parameters as `folder/adapter` or `folder/model`.
 * @param start of an adapter: what is taken away of it (startFactors.ts)
 * @returns that path
 */
export async function writeParameters(
  folder: string,
  artifact: Artifact,
  parameters: readonly TensorSource[],
  start: readonly TensorSource[] = [],
): Promise<string> {
  const path = join(folder, artifact.kind);
  await writeArtifact(path, artifact, parameters, start);
  return path;
}

/** The same as `path` itself. */
export async function writeArtifact(
  path: string,
  artifact: Artifact,
  parameters: readonly TensorSource[],
  start: readonly TensorSource[],
): Promise<void> {
  if (artifact.kind === 'adapter') {
    await writeAdapter(path, artifact.config, start.length === 0 ? parameters : withStart(parameters, start));
  } else await writeModel(path, artifact.configFile, artifact.form, parameters);
}

/** What `writeParameters` wrote into `folder`. */
export function readParameters(folder: string, kind: Artifact['kind']): TensorSource[] {
  const path = join(folder, kind);
  if (kind === 'adapter') return [...openAdapter(path).tensors.values()];
  return [...openModelWeights(path).values()].map(fileSource);
}
