import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { publishFile, publishFolder } from './checkpointFiles.js';
import { readJsonFile } from './json.js';
import { openSafetensors, readFloat32, streamSafetensors, type TensorInfo } from './safetensors.js';
import { byLayers } from './tensorNames.js';
import { fileSource } from './tensors/file.js';
import { findNotFinite, notFinite } from './tensors/finite.js';
import { asBytes } from './tensors/floats.js';
import type { TensorSource } from './tensors/source.js';

/**
 * LoRA adapters in PEFT's format: `adapter_config.json` beside `adapter_model.safetensors`.
 * Source: `LoraConfig` and `get_peft_model_state_dict` of huggingface/peft (read at 0.21).
 */

export interface AdapterConfig {
  rank: number;
  /** The adapter is scaled by alpha / rank, or by alpha / sqrt(rank) with rsLoRA. */
  alpha: number;
  rsLora: boolean;
  dropout: number;
  /** Ranks and alphas of layers that differ, by PEFT's patterns: the end of a module's name, or a regular expression. */
  rankPattern: Record<string, number>;
  alphaPattern: Record<string, number>;
  /** Kinds of adapted linear layers, such as `q_proj`. */
  targetModules: string[];
  /** Names of the adapted modules, such as `model.layers.0.self_attn.q_proj`; absent: all of each kind. */
  modules?: string[];
  /** Name or path of the model that the adapter belongs to. */
  baseModel: string;
}

export interface AdapterTensor {
  /** A: [rank, in]; B: [out, rank]. */
  shape: readonly number[];
  data: Float32Array;
}

export interface Adapter {
  folder: string;
  config: AdapterConfig;
  /** By name, such as `model.layers.0.self_attn.q_proj.lora_A.weight`. */
  tensors: Map<string, AdapterTensor>;
}

/** An adapter whose tensors are read when they are asked for. */
export interface OpenAdapter {
  readonly folder: string;
  readonly config: AdapterConfig;
  /** By the names of `Adapter.tensors`, of the types in the file. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
}

const CONFIG_FILE = 'adapter_config.json';
const WEIGHTS_FILE = 'adapter_model.safetensors';
/** What PEFT wrote before safetensors: a pickle. */
const PICKLE_FILE = 'adapter_model.bin';
/** PEFT's wrapper adds it to the base model's parameter names. */
const PREFIX = 'base_model.model.';

/**
 * Publishes an adapter; a kill at any instant leaves the adapter that was there, if any, or the whole new one. In a folder that
 * exists, other files stay.
 * @throws InputError when the folder holds an adapter of another configuration: two files can't change in one instant
 */
export async function writeAdapter(
  folder: string,
  config: AdapterConfig,
  sources: readonly TensorSource[],
): Promise<void> {
  const configBytes = new TextEncoder().encode(`${JSON.stringify(peftConfig(config), null, 2)}\n`);
  if (!existsSync(folder)) {
    return publishFolder(folder, async (unfinished) => {
      publishFile(join(unfinished, CONFIG_FILE), [configBytes]);
      await writeWeights(join(unfinished, WEIGHTS_FILE), sources);
    });
  }
  const configPath = join(folder, CONFIG_FILE);
  const weightsPath = join(folder, WEIGHTS_FILE);
  if (existsSync(weightsPath) && !(existsSync(configPath) && readFileSync(configPath).equals(configBytes))) {
    throw new InputError(
      `${folder}: expected no adapter of another configuration, found one; choose a fresh folder`,
    );
  }
  publishFile(configPath, [configBytes]);
  await writeWeights(weightsPath, sources);
}

const writeWeights = (path: string, sources: readonly TensorSource[]): Promise<void> =>
  streamSafetensors(
    path,
    sources.map((source) => ({ ...source, name: PREFIX + source.name })),
    { format: 'pt' },
  );

/** The keys every PEFT version since 0.7 knows, sorted as PEFT does; it fills in the others with their defaults. */
function peftConfig(config: AdapterConfig): Record<string, unknown> {
  return {
    alpha_pattern: config.alphaPattern,
    base_model_name_or_path: config.baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: config.rankPattern,
    target_modules: config.modules ?? config.targetModules,
    task_type: 'CAUSAL_LM',
    use_rslora: config.rsLora,
  };
}

const typeSchema = z.looseObject({ peft_type: z.string() });
const configSchema = z.looseObject({
  peft_type: z.string(),
  r: z.int().min(1),
  lora_alpha: z.number().default(8),
  lora_dropout: z.number().min(0).lt(1).default(0),
  use_rslora: z.boolean().default(false),
  rank_pattern: z.record(z.string(), z.int().min(1)).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  target_modules: z.unknown().optional(),
  exclude_modules: z.unknown().optional(),
  layers_to_transform: z.union([z.int(), z.array(z.int())]).nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/** Keys that change nothing in the model's output or gradients, whatever their value. */
const INERT_KEYS = new Set([
  'auto_mapping',
  'ensure_weight_tying',
  'eva_config',
  // Of linear layers PEFT takes it back: it is for GPT-2's.
  'fan_in_fan_out',
  'inference_mode',
  'layers_pattern',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'task_type',
]);

/** Initialisations that leave the base model as it is; pissa, olora, corda, loftq, lora_ga rewrite it on loading. */
const PLAIN_INITIALISATIONS = new Set<unknown>([true, false, 'gaussian', 'eva', 'orthogonal']);

/**
 * Reads an adapter whole; the adapted layers are those that it has tensors for, and those that its configuration names
 * one by one. F32, F16 and BF16 tensors are accepted.
 * @throws InputError when a file is missing or damaged, holds a NaN or an infinity, and for every feature that is not
 * plain LoRA, by name
 */
export function readAdapter(folder: string): Adapter {
  const { config, infos } = openFiles(folder);
  const tensors = new Map<string, AdapterTensor>();
  for (const [name, info] of infos) {
    const data = readFloat32(info);
    const found = findNotFinite('F32', asBytes(data));
    if (found) throw notFinite({ ...info, origin: info.path }, found);
    tensors.set(name, { shape: info.shape, data });
  }
  return { folder, config: configOf(config, tensors.keys()), tensors };
}

/** The same, of which the configuration and the header alone are read: numbers are not looked at. */
export function openAdapter(folder: string): OpenAdapter {
  const { config, infos } = openFiles(folder);
  const tensors = new Map([...infos].map(([name, info]) => [name, { ...fileSource(info), name }]));
  return { folder, config: configOf(config, tensors.keys()), tensors };
}

function configOf(config: PeftConfig, tensors: Iterable<string>): AdapterConfig {
  const names = moduleNames(tensors);
  const modules = namedModules(config, names);
  return {
    rank: config.r,
    alpha: config.lora_alpha,
    rsLora: config.use_rslora,
    dropout: config.lora_dropout,
    rankPattern: config.rank_pattern ?? {},
    alphaPattern: config.alpha_pattern ?? {},
    targetModules: [...new Set(names.map((name) => name.slice(name.lastIndexOf('.') + 1)))].sort(),
    ...(modules && { modules }),
    baseModel: config.base_model_name_or_path ?? '',
  };
}

/** The config and the tensors in the header, without PEFT's prefix. */
function openFiles(folder: string): { config: PeftConfig; infos: Map<string, TensorInfo> } {
  const configPath = join(folder, CONFIG_FILE);
  const { peft_type } = readJsonFile(configPath, typeSchema);
  if (peft_type !== 'LORA') {
    throw new InputError(
      `${configPath}: expected a plain LoRA adapter, found peft_type ${excerpt(peft_type)}; choose one of peft_type "LORA"`,
    );
  }
  const config = readJsonFile(configPath, configSchema);
  const unsupported = unsupportedFeatures(config);
  if (unsupported.length > 0) {
    throw new InputError(
      `${configPath}: expected a plain LoRA adapter, found ${unsupported.join(', ')}; convert it to plain LoRA`,
    );
  }
  refusePickle(folder);
  const { path, tensors } = openSafetensors(join(folder, WEIGHTS_FILE));
  if (tensors.size === 0) {
    throw new InputError(`${path}: expected the factors of an adapter, found no tensors; save it again`);
  }
  const twice = [...tensors.keys()].find((key) => tensors.has(PREFIX + key));
  if (twice !== undefined) {
    throw new InputError(
      `${path}: expected each tensor once, found ${excerpt(twice)} and ${excerpt(PREFIX + twice)}, which are one; save it again`,
    );
  }
  const bare = (key: string) => (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key);
  return { config, infos: new Map([...tensors].map(([key, info]) => [bare(key), info])) };
}

function refusePickle(folder: string): void {
  const pickle = join(folder, PICKLE_FILE);
  if (existsSync(join(folder, WEIGHTS_FILE)) || !existsSync(pickle)) return;
  throw new InputError(
    `${pickle}: expected ${WEIGHTS_FILE}, found a pickle, which can run code when it is read; if you trust it, convert ` +
      "it there: python -c \"import torch, safetensors.torch as s; t = torch.load('adapter_model.bin', map_location='cpu', " +
      "weights_only=True); s.save_file({k: v.clone() for k, v in t.items()}, 'adapter_model.safetensors')\"",
  );
}

/** The modules that there are tensors for, sorted. */
function moduleNames(tensors: Iterable<string>): string[] {
  const modules = [...tensors].flatMap((name) => /^(.+)\.lora_[AB]\.weight$/.exec(name)?.[1] ?? []);
  return [...new Set(modules)].sort();
}

type PeftConfig = z.infer<typeof configSchema>;

/**
 * The adapted modules of an adapter whose configuration may leave out layers of a kind, sorted; undefined where it speaks
 * of kinds alone, so that all their layers have to be there. PEFT's `target_modules` and `exclude_modules` are lists of
 * ends of names, or a regular expression for whole ones; `layers_to_transform` are numbers of layers.
 */
function namedModules(config: PeftConfig, found: readonly string[]): string[] | undefined {
  const { target_modules: targets, exclude_modules: excluded, layers_to_transform: layers } = config;
  const numbers = layers == null ? [] : [layers].flat();
  const isOfKinds = targets === 'all-linear' || namesKinds(targets);
  if (isOfKinds && namesKinds(excluded) && numbers.length === 0) return undefined;
  if (!namesKinds(excluded)) return [...found];
  const named = Array.isArray(targets) ? targets.filter(isModule) : [];
  const ofKinds = isOfKinds ? found : [];
  const inLayers = numbers.flatMap((layer) => ofKinds.map((name) => name.replace(LAYER, `$1${layer}.`)));
  return [...new Set([...found, ...inLayers, ...named])].sort();
}

const LAYER = /(\.layers\.)\d+\./;
const isModule = (name: unknown): name is string => /^model\.layers\.\d+\./.test(String(name));

/** Whether nothing, or ends of names in which no layer's number is: `q_proj`, `self_attn.q_proj`. */
const namesKinds = (names: unknown): boolean =>
  names == null || (Array.isArray(names) && names.every((name) => !/(^|\.)\d+\./.test(String(name))));

function unsupportedFeatures(config: PeftConfig): string[] {
  return Object.entries(config)
    .filter(([key, value]) => !isPlain(key, value))
    .map(([key, value]) => `${key} ${excerpt(value)}`);
}

/** Unknown keys are features of PEFT versions to come: plain only when they are switched off. */
function isPlain(key: string, value: unknown): boolean {
  if (key in configSchema.shape || INERT_KEYS.has(key)) return true;
  if (key === 'init_lora_weights') return PLAIN_INITIALISATIONS.has(value);
  if (key === 'bias') return value === 'none';
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false;
}

/**
 * Checks an adapter against the tensors that a model expects.
 * @param expected shape by name, as in `Adapter.tensors`
 * @throws InputError once, with every tensor that is missing, unexpected or of the wrong shape
 */
export function checkAdapter(
  adapter: {
    readonly folder: string;
    readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  },
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const missing = [...expected.keys()].filter((name) => !adapter.tensors.has(name));
  const unexpected = [...adapter.tensors.keys()].filter((name) => !expected.has(name));
  const misshapen = [...adapter.tensors].flatMap(([name, { shape }]) => {
    const wanted = expected.get(name);
    return wanted && String(shape) !== String(wanted) ? `${name} [${shape}] (expected [${wanted}])` : [];
  });
  const problems = [
    describe('missing', missing.length, byLayers(missing)),
    describe('unexpected', unexpected.length, byLayers(unexpected)),
    describe('of the wrong shape', misshapen.length, byLayers(misshapen)),
  ].filter((problem) => problem !== '');
  if (problems.length === 0) return;
  const path = join(adapter.folder, WEIGHTS_FILE);
  throw new InputError(
    `${path}: expected this model's adapter, found tensors ${problems.join('; ')}; check model, rank and layers`,
  );
}

function describe(problem: string, count: number, names: readonly string[]): string {
  return count === 0 ? '' : `${problem} (${count}): ${names.join(', ')}`;
}
