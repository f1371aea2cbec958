import { InputError } from '../base/errors.js';
import { checkAdapter, type OpenAdapter } from '../formats/adapter.js';
import { castSource } from '../formats/tensors/cast.js';
import { finiteSource, placeOf } from '../formats/tensors/finite.js';
import type { FloatDtype } from '../formats/tensors/floats.js';
import { type LowRank, lowRankSource } from '../formats/tensors/lowRank.js';
import type { TensorSource } from '../formats/tensors/source.js';
import { loraOptions, loraScale, loraShapes } from './lora.js';
import { type ModelFiles, weightShapes } from './weights.js';

/** An adapter, and what it is multiplied by. */
export interface WeightedAdapter {
  readonly adapter: OpenAdapter;
  readonly weight: number;
}

const LORA_A = '.lora_A.weight';

/**
 * What adapters add to a model's weights, by the names of the weights, in the order of the adapters. Nothing but headers is
 * read.
 * @throws InputError when one of them is not an adapter of this model
 */
export function lowRankChanges(
  { config }: ModelFiles,
  adapters: readonly WeightedAdapter[],
): Map<string, LowRank[]> {
  const changes = new Map<string, LowRank[]>();
  for (const { adapter, weight } of adapters) {
    const options = loraOptions(adapter.config, config);
    const shapes = loraShapes(config, options);
    checkAdapter(adapter, shapes);
    const modules = [...shapes.keys()].filter((name) => name.endsWith(LORA_A));
    for (const module of modules.map((name) => name.slice(0, -LORA_A.length))) {
      const [a, b] = ['A', 'B'].map((factor) => adapter.tensors.get(`${module}.lora_${factor}.weight`)!);
      const name = `${module}.weight`;
      const change = { a: a!, b: b!, scale: weight * loraScale(options, module) };
      changes.set(name, [...(changes.get(name) ?? []), change]);
    }
  }
  return changes;
}

/**
 * A tensor of a model's files with changes added, in its own type: the sum of all is rounded to F32, and from there once to
 * a type of 16 bits. One that nothing changes is itself, bit for bit.
 * Reading a weight throws an InputError where a number of it or of the result is none.
 */
export function mergedSource(
  { config }: ModelFiles,
  tensor: TensorSource,
  changes: ReadonlyMap<string, readonly LowRank[]>,
): TensorSource {
  const { name, dtype, shape, origin } = tensor;
  const isWeight = weightShapes(config).has(name);
  // What else is in the files belongs to others, such as masks with infinities.
  const weight = isWeight ? finiteSource(tensor) : tensor;
  const change = changes.get(name);
  if (!change) return weight;
  const merged = castSource(lowRankSource(weight, change), dtype as FloatDtype);
  return finiteSource(merged, ({ index, value }) => {
    const place = placeOf(index, shape).join(', ');
    return new InputError(
      `${origin}: tensor ${name}: expected sums that ${dtype} holds, found one that becomes ${value} at [${place}]; ` +
        'give its adapters smaller weights',
    );
  });
}
