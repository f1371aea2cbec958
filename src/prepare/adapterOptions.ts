import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { excerpt, InputError } from '../base/errors.js';
import { readAdapter } from '../formats/adapter.js';
import type { ModelConfig } from '../model/config.js';
import {
  checkPatterns,
  checkSingularStart,
  type LoraOptions,
  loraOptions,
  type SingularStart,
  targetModules,
} from '../model/lora.js';
import { isStart } from '../options/init.js';
import { flagOf } from '../options/table.js';
import type { TrainOptions } from '../options/train.js';
import type { Origin } from './origin.js';
import type { Given, RunRequest } from './resolveOptions.js';

/** What the adapter of a run is like: as the options say, or as the one that it starts from says itself. */

/** Of a run from an adapter that goes on, the one in its checkpoint: it says of itself what the first one said. */
export const adapterBefore = (
  { trainable, init }: TrainOptions,
  resume: Pick<Origin, 'path'> | undefined,
): string | undefined =>
  resume && trainable === 'lora' && !isStart(init) ? join(resume.path, 'adapter') : undefined;

/**
 * Of a run from an adapter, that one's own; its dropout may be another one, and a run that goes on keeps what it had.
 * @param adapter folder of it
 * @throws InputError when others were given beside it
 */
export function adapterOptions(
  { options, given, before }: RunRequest,
  adapter: string | undefined,
  config: ModelConfig,
): LoraOptions {
  if (adapter !== undefined) {
    const lora = loraOptions(readAdapter(adapter).config, config);
    if (!before) refuseOthers(options, given, lora);
    const ownDropout = !before && given.loraDropout === undefined;
    return { ...lora, dropout: ownDropout ? lora.dropout : options.loraDropout };
  }
  const lora = {
    rank: options.rank,
    alpha: options.loraAlpha ?? 2 * options.rank,
    rsLora: options.rslora,
    dropout: options.loraDropout,
    targetModules: targetModules(options.targetModules.split(',')),
    rankPattern: options.rankPattern ?? {},
    alphaPattern: options.alphaPattern ?? {},
    ...(isSingular(options.init) && { start: options.init }),
  };
  checkPatterns(config, lora);
  checkSingularStart(config, lora);
  return lora;
}

const isSingular = (init: string): init is SingularStart => isStart(init) && init !== 'random';

/** What an adapter says by itself may be said again, but not otherwise. */
function refuseOthers(options: TrainOptions, given: Given, lora: LoraOptions): void {
  const own = adapterValues(lora);
  const others = Object.entries(own).filter(([name, value]) => {
    if (given[name] === undefined) return false;
    const wanted = options[name as keyof typeof own];
    const named = name === 'targetModules' ? targetModules(String(wanted).split(',')).join(',') : wanted;
    return !isDeepStrictEqual(named, value);
  });
  if (others.length === 0) return;
  const list = others
    .map(([name, value]) => `${flagOf(name)} ${excerpt(value)} (found ${excerpt(given[name])})`)
    .join(', ');
  throw new InputError(`--init: expected the adapter's own ${list}; leave them out, or leave out --init`);
}

const adapterValues = ({ rank, alpha, rsLora, targetModules: names, ...patterns }: LoraOptions) => ({
  rank,
  loraAlpha: alpha,
  rslora: rsLora,
  targetModules: names.join(','),
  rankPattern: patterns.rankPattern ?? {},
  alphaPattern: patterns.alphaPattern ?? {},
});

/** Options that say of the adapter what it is, also where they came from `--init`. */
export const withAdapter = (options: TrainOptions, lora: LoraOptions): TrainOptions => ({
  ...options,
  ...adapterValues(lora),
  loraDropout: lora.dropout,
});
