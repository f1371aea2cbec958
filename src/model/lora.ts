import { TimeOut, withinTime } from '../base/boundedTime.js';
import { excerpt, InputError } from '../base/errors.js';
import type { AdapterConfig } from '../formats/adapter.js';
import type { Builder } from '../program/builder.js';
import { elementCount, type Role, type Value } from '../program/types.js';
import type { ModelConfig } from './config.js';
import { LINEAR_LAYERS, type LinearLayer, layerName, linearShape } from './weights.js';

/** Low-rank adaptation (Hu et al. 2021): y = x W^T + s (x A^T) B^T. */
export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  /** s = alpha / sqrt(rank) instead of alpha / rank (Kalajdzievski 2023). */
  readonly rsLora: boolean;
  /** Probability with which an element of x is dropped before A. */
  readonly dropout: number;
  /** Adapted layers by the last part of their names (`q_proj`). */
  readonly targetModules: readonly string[];
  /** Of these the adapted ones by their whole names, where not every block has the same; absent: all. */
  readonly modules?: readonly string[];
  /** Ranks and alphas of layers that differ, by PEFT's patterns. */
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /**
   * The factors start as singular vectors, A0 and B0, and what they are then is taken away again:
   * y = x W^T + s (x A^T) B^T - s (x A0^T) B0^T. PiSSA (Meng et al. 2024) has the first ones, MiLoRA (Wang et al. 2024) the
   * last.
   */
  readonly start?: SingularStart;
}

export type SingularStart = 'pissa' | 'milora';

/** Names of layers in an error. */
const MOST_NAMES = 3;

/**
 * Checks that every pattern is for some adapted layer: one that is for none is a slip. Adapters that were trained
 * elsewhere may have such patterns, as PEFT allows them.
 */
export function checkPatterns(config: ModelConfig, options: LoraOptions): void {
  const modules = loraModules(config, options);
  for (const [flag, patterns = {}] of [
    ['--rank-pattern', options.rankPattern],
    ['--alpha-pattern', options.alphaPattern],
  ] as const) {
    const idle = Object.keys(patterns).filter((key) => !modules.some((module) => isEnding(key, module)));
    if (idle.length === 0) continue;
    const names = modules.slice(0, MOST_NAMES).join(', ');
    throw new InputError(
      `${flag}: expected ends of names of adapted layers, found ${idle.join(', ')}, which no layer ends in; ` +
        `there are ${names}, ... (${modules.length})`,
    );
  }
}

/** The value of the first pattern that a module's name ends in, as PEFT's `get_pattern_key` finds it. */
function matching(patterns: Readonly<Record<string, number>> = {}, module: string): number | undefined {
  return Object.entries(patterns).find(([key]) => isEnding(key, module))?.[1];
}

/** Names of layers are short: an expression that takes longer would take for ever. */
const MATCH_MS = 500;

/**
 * Whether a pattern matches the end of a module's name. Expressions may come from a stranger's adapter, and are Python's: what
 * would mean something else here, such as `\Z`, is none with the flag u.
 */
function isEnding(key: string, module: string): boolean {
  const where = 'rank and alpha patterns: expected';
  try {
    const ending = new RegExp(`^(?:.*\\.)?(?:${key})$`, 'u');
    return /^[\w.]*$/.test(key) ? ending.test(module) : withinTime(MATCH_MS, () => ending.test(module));
  } catch (error) {
    if (!(error instanceof TimeOut)) {
      throw new InputError(
        `${where} the end of a layer's name or a regular expression for it, found ${excerpt(key)}; ` +
          'name the layers instead',
      );
    }
    throw new InputError(
      `${where} a regular expression that can be matched, found ${excerpt(key)}, which takes far too long for ` +
        `${module}; name the layers instead`,
    );
  }
}

export const loraRank = (options: LoraOptions, module: string): number =>
  matching(options.rankPattern, module) ?? options.rank;

/** The scale s of a module's adapter. */
export function loraScale(options: LoraOptions, module: string): number {
  const alpha = matching(options.alphaPattern, module) ?? options.alpha;
  const rank = loraRank(options, module);
  return alpha / (options.rsLora ? Math.sqrt(rank) : rank);
}

const shortName = (layer: LinearLayer): string => layer.slice(layer.indexOf('.') + 1);

/** What `--target-modules` accepts. */
export const TARGET_MODULES: readonly string[] = LINEAR_LAYERS.map(shortName);

/** `all-linear`, or names of layers, in the order of the forward pass. */
export function targetModules(names: readonly string[]): string[] {
  if (names.length === 1 && names[0] === 'all-linear') return [...TARGET_MODULES];
  const unknown = names.find((name) => !TARGET_MODULES.includes(name));
  if (unknown !== undefined || names.length === 0) {
    throw new InputError(
      `--target-modules: expected all-linear or some of ${TARGET_MODULES.join(', ')}, found ${unknown ?? 'none'}`,
    );
  }
  return TARGET_MODULES.filter((name) => names.includes(name));
}

/**
 * The adapted layers of a model: A [rank, in] and B [out, rank] by the names that adapter files use. The rank may be larger
 * than either side of a layer.
 */
export function loraShapes(config: ModelConfig, options: LoraOptions): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const { module, layer } of adaptedLayers(config, options)) {
    const [out, inputs] = linearShape(config, layer);
    const rank = loraRank(options, module);
    if (!Number.isInteger(rank)) {
      throw new InputError(`--rank-pattern: expected a whole number for ${module}, found ${rank}`);
    }
    shapes.set(`${module}.lora_A.weight`, [rank, inputs]);
    shapes.set(`${module}.lora_B.weight`, [out, rank]);
  }
  return shapes;
}

/** Whole names of the layers that get an adapter, in the order of the forward pass. */
export const loraModules = (config: ModelConfig, options: LoraOptions): string[] =>
  adaptedLayers(config, options).map(({ module }) => module);

/** The layers that get an adapter, in the order of the forward pass. */
function adaptedLayers(config: ModelConfig, { targetModules: targets, modules }: LoraOptions) {
  const named = modules && new Set(modules);
  const layers = LINEAR_LAYERS.filter((layer) => targets.includes(shortName(layer)));
  return Array.from({ length: config.layers }, (_, block) =>
    layers.map((layer) => ({ layer, module: layerName(block, layer) })),
  )
    .flat()
    .filter(({ module }) => named?.has(module) ?? true);
}

export const parameterCount = (shapes: ReadonlyMap<string, readonly number[]>): number =>
  [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);

/** Adapter factors as values of a module. */
export interface LoraValues {
  readonly options: LoraOptions;
  readonly values: ReadonlyMap<string, Value>;
  /** A0 and B0 by the names of A and B; empty where nothing is taken away. */
  readonly start: ReadonlyMap<string, Value>;
}

/**
 * @param role `parameter` to train them, `state` for a copy that is only read
 * @param start what is taken away, where it is declared already
 */
export function declareLora(
  b: Builder,
  config: ModelConfig,
  options: LoraOptions,
  role: Extract<Role, 'parameter' | 'state'>,
  { prefix = '', start }: { readonly prefix?: string; readonly start?: LoraValues['start'] } = {},
): LoraValues {
  const shapes = [...loraShapes(config, options)];
  const declare = (as: typeof role, before: string) =>
    new Map(shapes.map(([name, shape]) => [name, b.value(as, before + name, shape)]));
  const values = declare(role, prefix);
  // As state, not weights: those may be kept as halves, and at the start A0 and A have to be the same.
  return { options, values, start: start ?? (options.start ? declare('state', START) : new Map()) };
}

const START = 'start.';

/**
 * Checks that every adapted layer has as many singular vectors as its rank says.
 * @throws InputError naming the first that has not
 */
export function checkSingularStart(config: ModelConfig, options: LoraOptions): void {
  if (!options.start) return;
  for (const { module, layer } of adaptedLayers(config, options)) {
    const most = Math.min(...linearShape(config, layer));
    const rank = loraRank(options, module);
    if (rank <= most) continue;
    throw new InputError(
      `--init ${options.start}: expected a rank of at most ${most} for ${module}, which has no more singular vectors, ` +
        `found ${rank}; lower --rank or --rank-pattern`,
    );
  }
}

/**
 * The adapter as it is saved. One that began with singular vectors is a plain one of twice the rank, [A; A0] and [B, -B0],
 * at the same scale: alpha is doubled, with rsLoRA times sqrt 2.
 */
export function adapterConfig(options: LoraOptions, baseModel: string): AdapterConfig {
  const { rsLora, dropout } = options;
  const [ranks, alphas] = options.start ? [2, rsLora ? Math.SQRT2 : 2] : [1, 1];
  const [rank, alpha] = [ranks * options.rank, alphas * options.alpha];
  const times = (patterns: Readonly<Record<string, number>> = {}, factor: number) =>
    Object.fromEntries(Object.entries(patterns).map(([key, value]) => [key, factor * value]));
  const patterns = {
    rankPattern: times(options.rankPattern, ranks),
    alphaPattern: times(options.alphaPattern, alphas),
  };
  const layers = {
    targetModules: [...options.targetModules],
    ...(options.modules && { modules: [...options.modules] }),
  };
  return { rank, alpha, rsLora, dropout, ...patterns, ...layers, baseModel };
}

/** An adapter's options for a model. Its modules are named only where they are not all layers of their kinds. */
export function loraOptions(adapter: AdapterConfig, config: ModelConfig): LoraOptions {
  const { targetModules: names, modules, baseModel: _, ...options } = adapter;
  const lora = { ...options, targetModules: TARGET_MODULES.filter((name) => names.includes(name)) };
  const named = modules && loraModules(config, { ...lora, modules });
  if (!named || named.length === adaptedLayers(config, lora).length) return lora;
  return { ...lora, modules: named };
}
