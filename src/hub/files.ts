import { existsSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMPANIONS, NAMED_TEMPLATES } from '../formats/modelFolder.js';
import { shardFiles } from '../formats/modelShards.js';

/** What a repository is wanted for: a whole model, all of it but the weights, a PEFT adapter of one, or its tokenizer alone. */
export type ModelKind = 'model' | 'outline' | 'adapter' | 'tokenizer';

interface Files {
  readonly required: readonly string[];
  /** Taken along where they exist; of a folder all that is in it. */
  readonly optional: readonly string[];
  readonly weights?: string;
  /** Names the shards that stand for `weights` in a large model. */
  readonly index?: string;
}

/** The default one, and the folder of those with names of their own. */
const CHAT_TEMPLATES = ['chat_template.jinja', NAMED_TEMPLATES];

export const MODEL_WEIGHTS = 'model.safetensors';
export const WEIGHTS_INDEX = 'model.safetensors.index.json';

const REQUIRED = ['config.json', 'tokenizer.json'];
/** What a saved model takes along of the one it was made from. */
const MODEL = { required: REQUIRED, optional: COMPANIONS.filter((file) => !REQUIRED.includes(file)) };

const FILES: Readonly<Record<ModelKind, Files>> = {
  model: { ...MODEL, weights: MODEL_WEIGHTS, index: WEIGHTS_INDEX },
  outline: { ...MODEL, optional: [...MODEL.optional, WEIGHTS_INDEX] },
  adapter: { required: ['adapter_config.json'], optional: [], weights: 'adapter_model.safetensors' },
  tokenizer: {
    required: ['tokenizer.json'],
    optional: ['tokenizer_config.json', ...CHAT_TEMPLATES],
  },
};

/** A link to what is gone: a file that was there, and not one that a model does without. */
const isBroken = (path: string): boolean =>
  !existsSync(path) && lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** The first file of a folder that is a link to nothing. */
export function brokenLink(kind: ModelKind, folder: string): string | undefined {
  const { required, optional, weights, index } = FILES[kind];
  const files = [...required, ...optional, weights ?? [], index ?? []].flat();
  return files.find((file) => isBroken(join(folder, file)));
}

/** The first file that a folder lacks; undefined when it is complete. */
export function missingFile(kind: ModelKind, folder: string): string | undefined {
  const { required, optional, weights, index } = FILES[kind];
  const isMissing = (file: string) => !existsSync(join(folder, file));
  const absent = required.find(isMissing) ?? optional.find((file) => isBroken(join(folder, file)));
  if (absent !== undefined || weights === undefined || !isMissing(weights)) return absent;
  if (index === undefined || isMissing(index)) return weights;
  return shardFiles(join(folder, index)).find(isMissing);
}

/** Folders of a repository that hold files to take along. */
export const neededFolders = (kind: ModelKind, available: ReadonlySet<string>): string[] =>
  FILES[kind].optional.filter((folder) => available.has(folder));

/** What to fetch of the files a repository has, small ones first; `missing` is one that it should have. */
export function neededFiles(
  kind: ModelKind,
  available: ReadonlySet<string>,
): { files: string[]; index?: string } | { missing: string } {
  const { required, optional, weights, index } = FILES[kind];
  const absent = required.find((file) => !available.has(file));
  if (absent !== undefined) return { missing: absent };
  // Those that may be absent come first, so that a fetch that was cut short is no whole folder.
  const isOptional = (file: string) => optional.includes(file) || optional.includes(dirname(file));
  const small = [...[...available].filter(isOptional), ...required];
  if (weights === undefined) return { files: small };
  if (available.has(weights)) return { files: [...small, weights] };
  if (index === undefined || !available.has(index)) return { missing: weights };
  return { files: [...small, index], index };
}
