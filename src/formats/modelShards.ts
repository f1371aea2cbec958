import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { publishFile } from './checkpointFiles.js';
import { readJsonFile } from './json.js';
import { bytesOf, openSafetensors, streamSafetensors, type TensorInfo } from './safetensors.js';
import type { TensorSource } from './tensors/source.js';

/** The weights of a model folder: one file, or shards with an index that says which tensor is in which. */

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** The names of weights in a model folder. */
const WEIGHTS = /^model(?:-\d{5}-of-\d{5})?\.safetensors(?:\.index\.json)?$/;
/** No file system has longer ones. */
const MAX_FILE_NAME = 255;
/** What huggingface_hub splits at: 5 GB. */
const MAX_SHARD_BYTES = 5e9;

const shardIndex = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * The tensors of a model folder: `model.safetensors`, or all of the shards that `model.safetensors.index.json` names, those
 * that it leaves out too.
 * @throws InputError when neither is there, a shard is damaged, or lacks a tensor that the index puts into it
 */
export function openModelWeights(folder: string): Map<string, TensorInfo> {
  const single = join(folder, SINGLE);
  if (existsSync(single)) return openSafetensors(single).tensors;
  const index = join(folder, INDEX);
  if (existsSync(index)) return openShards(folder, index);
  throw new InputError(
    `${folder}: expected ${SINGLE} or ${INDEX}, found neither; ` +
      'give a model folder with weights in safetensors form',
  );
}

/**
 * The files that an index of shards names, each once.
 * @throws InputError when one is not a plain file name: shards lie beside the index
 */
export const shardFiles = (index: string): string[] => [
  ...new Set(placementOf(index).map(([, file]) => file)),
];

/** [tensor, file] for every tensor of an index. */
function placementOf(index: string): [tensor: string, file: string][] {
  const placement = Object.entries(readJsonFile(index, shardIndex).weight_map);
  const outside = placement.find(([, file]) => basename(file) !== file || file.length > MAX_FILE_NAME);
  if (outside) {
    throw new InputError(
      `${index}: weight_map.${outside[0]}: expected the name of a file in this folder, found ${excerpt(outside[1])}`,
    );
  }
  return placement;
}

function openShards(folder: string, index: string): Map<string, TensorInfo> {
  const placement = placementOf(index);
  const files = new Set(placement.map(([, file]) => file));
  const shards = new Map([...files].map((file) => [file, openSafetensors(join(folder, file)).tensors]));
  const absent = placement.filter(([name, file]) => !shards.get(file)!.has(name));
  if (absent.length > 0) {
    const list = absent.map(([name, file]) => `${name} in ${file}`).join(', ');
    throw new InputError(`${index}: expected ${list}, found no such tensor; fetch the shards again`);
  }
  // As transformers loads shards: whole. The index decides where two hold a tensor of one name.
  const tensors = new Map([...shards.values()].flatMap((shard) => [...shard]));
  for (const [name, file] of placement) tensors.set(name, shards.get(file)!.get(name)!);
  return tensors;
}

/** Tensors by the names of the files they go into. */
export type Shards = ReadonlyMap<string, readonly TensorSource[]>;

/**
 * Splits a model as `split_torch_state_dict_into_shards` of huggingface_hub does, and names the files as it does:
 * `model.safetensors` when one holds all, else `model-00001-of-00003.safetensors`. Shards are filled in the order of
 * the tensors; a tensor that is larger than a shard has one of its own.
 * @param maxShardBytes of the tensors in a shard (default: 5 GB)
 */
export function splitIntoShards(
  sources: Iterable<TensorSource>,
  { maxShardBytes = MAX_SHARD_BYTES }: { readonly maxShardBytes?: number } = {},
): Shards {
  const shards: TensorSource[][] = [];
  let current: TensorSource[] = [];
  let size = 0;
  for (const source of sources) {
    const bytes = bytesOf(source);
    if (bytes > maxShardBytes) {
      shards.push([source]);
      continue;
    }
    if (size + bytes > maxShardBytes) {
      shards.push(current);
      current = [];
      size = 0;
    }
    current.push(source);
    size += bytes;
  }
  if (current.length > 0) shards.push(current);
  const digits = (n: number) => String(n).padStart(5, '0');
  const nameOf = (i: number) => `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  return new Map(shards.map((shard, i) => [shards.length === 1 ? SINGLE : nameOf(i), shard]));
}

/**
 * Sources in the files that a model's tensors are in, by their names.
 * @param tensors as `openModelWeights` gives them
 */
export function splitAs(tensors: ReadonlyMap<string, TensorInfo>, sources: Iterable<TensorSource>): Shards {
  const shards = new Map<string, TensorSource[]>();
  for (const source of sources) {
    const file = basename(tensors.get(source.name)!.path);
    const shard = shards.get(file) ?? [];
    shards.set(file, shard);
    shard.push(source);
  }
  return shards;
}

/**
 * Writes the weights of a model into a folder: its shards, and the index when there are several. The memory this
 * takes is that of a chunk. Weights that were there before are gone when the new ones are whole, and not earlier.
 */
export async function writeShards(
  folder: string,
  shards: Shards,
  metadataOf: (file: string) => Readonly<Record<string, string>> = () => ({ format: 'pt' }),
): Promise<void> {
  for (const [file, sources] of shards) {
    await streamSafetensors(join(folder, file), sources, metadataOf(file));
  }
  const isSingle = shards.has(SINGLE);
  if (!isSingle) publishFile(join(folder, INDEX), [new TextEncoder().encode(indexOf(shards))]);
  const others = readdirSync(folder).filter((file) => WEIGHTS.test(file) && !shards.has(file));
  for (const file of others) if (isSingle || file !== INDEX) rmSync(join(folder, file));
}

function indexOf(shards: Shards): string {
  const placement = [...shards].flatMap(([file, sources]) =>
    sources.map(({ name }): [string, string] => [name, file]),
  );
  const index = {
    metadata: { total_size: [...shards.values()].flat().reduce((sum, source) => sum + bytesOf(source), 0) },
    weight_map: Object.fromEntries(placement.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}
