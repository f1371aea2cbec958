import { InputError } from '../base/errors.js';
import type { Session } from '../devices/device.js';
import { bytesOf } from '../formats/safetensors/header.js';
import type { TensorInfo } from '../formats/safetensors.js';
import { byLayers } from '../formats/tensorNames.js';
import { castSource } from '../formats/tensors/cast.js';
import { fileSource } from '../formats/tensors/file.js';
import { finiteSource } from '../formats/tensors/finite.js';
import type { FloatDtype } from '../formats/tensors/floats.js';
import type { TensorSource } from '../formats/tensors/source.js';
import type { Builder } from '../program/builder.js';
import type { DType, Value } from '../program/types.js';
import { type ModelConfig, ropeFrequencies } from './config.js';

/** The seven adapted linear layers of a block, by their place in it, in the order of the forward pass. */
export const LINEAR_LAYERS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

export type LinearLayer = (typeof LINEAR_LAYERS)[number];

/** The module name of a linear layer, as in the files: `model.layers.3.mlp.up_proj`. */
export const layerName = (block: number, layer: LinearLayer): string => `model.layers.${block}.${layer}`;

/** [out, in] of a linear layer. */
export function linearShape(config: ModelConfig, layer: LinearLayer): [out: number, inputs: number] {
  const { hiddenSize: d, intermediateSize: i, heads, keyValueHeads, headDim } = config;
  const shapes: Record<LinearLayer, [number, number]> = {
    'self_attn.q_proj': [heads * headDim, d],
    'self_attn.k_proj': [keyValueHeads * headDim, d],
    'self_attn.v_proj': [keyValueHeads * headDim, d],
    'self_attn.o_proj': [d, heads * headDim],
    'mlp.gate_proj': [i, d],
    'mlp.up_proj': [i, d],
    'mlp.down_proj': [d, i],
  };
  return shapes[layer];
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';

/** The name of the head's weight: that of the embedding when they are tied. */
export const headName = (config: ModelConfig): string => (config.tiedEmbeddings ? EMBEDDING : HEAD);

/** Shapes of all weights of a model by their names in the files. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize: d, vocabularySize: v } = config;
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [v, d]]]);
  for (let block = 0; block < config.layers; block++) {
    const prefix = `model.layers.${block}`;
    shapes.set(`${prefix}.input_layernorm.weight`, [d]);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [d]);
    for (const layer of LINEAR_LAYERS) {
      shapes.set(`${layerName(block, layer)}.weight`, linearShape(config, layer));
    }
    for (const [name, shape] of familyShapes(config)) shapes.set(`${prefix}.${name}`, shape);
  }
  shapes.set('model.norm.weight', [d]);
  if (!config.tiedEmbeddings) shapes.set(HEAD, [v, d]);
  return shapes;
}

/** Weights of a block that Llama does not have. */
function familyShapes(config: ModelConfig): [name: string, shape: readonly number[]][] {
  const shapes: [string, readonly number[]][] = [];
  if (config.qkvBias) {
    for (const layer of LINEAR_LAYERS.slice(0, 3))
      shapes.push([`${layer}.bias`, [linearShape(config, layer)[0]]]);
  }
  if (config.qkNorm) {
    for (const which of ['q_norm', 'k_norm']) shapes.push([`self_attn.${which}.weight`, [config.headDim]]);
  }
  return shapes;
}

/** Where a model's weights are on disk, checked against its config. */
export interface ModelFiles {
  /** Where the tokenizer lies too. */
  readonly folder: string;
  readonly configFile: string;
  readonly config: ModelConfig;
  /** Empty for a model that is to be made from its config alone. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

const DTYPES: Partial<Record<TensorInfo['dtype'], DType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/**
 * Compares names, shapes and types with what the config implies; all that is wrong is listed, once. Missing tensors and
 * wrong types mostly concern whole models and are put together by layers.
 */
export function checkWeights({ folder, config, tensors }: ModelFiles): void {
  const misshapen: string[] = [];
  const others: string[] = [];
  for (const [name, shape] of weightShapes(config)) {
    const info = tensors.get(name);
    if (!info) others.push(`${name} is missing`);
    else if (info.shape.join() !== shape.join()) {
      misshapen.push(`${name} is [${info.shape.join(', ')}], expected [${shape.join(', ')}]`);
    } else if (!DTYPES[info.dtype]) others.push(`${name} is ${info.dtype}, expected F32, F16 or BF16`);
  }
  const wrong = [...misshapen, ...byLayers(others)];
  if (wrong.length === 0) return;
  throw new InputError(
    `${folder}: expected the weights that config.json describes, found: ${wrong.join('; ')}`,
  );
}

/** Weights of one model as values of a module. Matrices keep the type they have on disk; norms are f32. */
export interface ModelWeights {
  readonly config: ModelConfig;
  readonly values: ReadonlyMap<string, Value>;
  /** f32 [positions, headDim], see `rope`. */
  readonly ropeTable: Value;
}

export interface WeightOptions {
  /** `weight` keeps matrices as they are on disk; trained weights and their copies are f32. */
  readonly role?: 'weight' | 'parameter' | 'state';
  /** Put before the names of the values. */
  readonly prefix?: string;
  /** One that is there already, to share. */
  readonly ropeTable?: Value;
}

/** @param positions the longest sequence that will be read */
export function declareWeights(
  b: Builder,
  { config, tensors }: ModelFiles,
  positions: number,
  { role = 'weight', prefix = '', ropeTable: shared }: WeightOptions = {},
): ModelWeights {
  const values = new Map<string, Value>();
  for (const [name, shape] of weightShapes(config)) {
    const kept = role === 'weight' && shape.length > 1;
    const dtype = kept ? DTYPES[tensors.get(name)!.dtype]! : 'f32';
    values.set(name, b.value(role, prefix + name, shape, dtype));
  }
  const table = shared ?? b.value('weight', `${prefix}rope_table`, [positions, config.headDim]);
  return { config, values, ropeTable: table };
}

/** The weight of the head, [V, D]. */
export const headOf = ({ config, values }: ModelWeights): Value => values.get(headName(config))!;

/** Cosines, then sines, of position * frequency, for every position: [positions, headDim]. */
export function ropeTable(config: ModelConfig, positions: number): Float32Array {
  const frequencies = ropeFrequencies(config);
  const half = config.headDim / 2;
  const table = new Float32Array(positions * config.headDim);
  for (let position = 0; position < positions; position++) {
    for (let j = 0; j < half; j++) {
      // The angle is rounded to f32 first, as PyTorch implementations do.
      const angle = Math.fround(position * Math.fround(frequencies[j]!));
      table[position * config.headDim + j] = Math.cos(angle);
      table[position * config.headDim + half + j] = Math.sin(angle);
    }
  }
  return table;
}

/** The weights of a model as sources, by their names. */
export const sourcesOf = ({ tensors }: Pick<ModelFiles, 'tensors'>): Map<string, TensorSource> =>
  new Map([...tensors].map(([name, info]) => [name, fileSource(info)]));

/**
 * Streams weights into a session, a few MiB at a time.
 * @param onLoaded told how many bytes of the files are loaded so far, tensor by tensor, and how many there are
 * @throws InputError naming file, tensor and place when one of them holds a number that is not finite
 */
export async function loadWeights(
  session: Session,
  sources: ReadonlyMap<string, TensorSource>,
  weights: ModelWeights,
  onLoaded: (bytes: number, total: number) => void = () => {},
): Promise<void> {
  const sizes = new Map([...weights.values.keys()].map((name) => [name, bytesOf(sources.get(name)!)]));
  const total = [...sizes.values()].reduce((a, b) => a + b, 0);
  let bytes = 0;
  for (const [name, value] of weights.values) {
    await loadTensor(session, sources.get(name)!, value);
    bytes += sizes.get(name)!;
    onLoaded(bytes, total);
  }
  await loadRopeTable(session, weights);
}

export async function loadRopeTable(
  session: Session,
  { config, ropeTable: table }: ModelWeights,
): Promise<void> {
  await session.write(table, ropeTable(config, table.shape[0]!));
}

const FILE_DTYPES: Partial<Record<DType, FloatDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };

/** Streams one tensor into a value, in the value's type. @throws InputError as `loadWeights` does */
export const loadTensor = (session: Session, source: TensorSource, value: Value): Promise<void> =>
  fillValue(session, finiteSource(source), value);

/** The same of numbers that may be anything: those of a checkpoint go on as they were. */
export async function fillValue(session: Session, source: TensorSource, value: Value): Promise<void> {
  const View = value.dtype === 'f32' ? Float32Array : Uint16Array;
  let written = Promise.resolve();
  for await (const { first, bytes } of castSource(source, FILE_DTYPES[value.dtype]!).read()) {
    const { buffer, byteOffset, length } = bytes;
    const data = new View(buffer as ArrayBuffer, byteOffset, length / View.BYTES_PER_ELEMENT);
    // One write is on its way while the next chunk is read, and no more.
    const before = written;
    written = session.write(value, data, first);
    written.catch(() => {});
    await before;
  }
  await written;
}
