import type { Builder } from '../program/builder.js';
import type { Value } from '../program/types.js';
import { declareLora, type LoraOptions, type LoraValues } from './lora.js';
import { declareWeights, type ModelFiles, type ModelWeights } from './weights.js';

/** Weights and adapter of one forward pass. */
export interface ForwardModel {
  readonly weights: ModelWeights;
  readonly lora: LoraValues | undefined;
}

/** What is trained, and the copy of it that evaluations read. */
export interface Trained {
  /** Parameters by the names of adapter or files files. */
  readonly values: ReadonlyMap<string, Value>;
  /** The same names: as they were at the last snapshot. */
  readonly snapshot: ReadonlyMap<string, Value>;
  /** What an adapter began with and is taken away, see `LoraValues`. */
  readonly start: ReadonlyMap<string, Value>;
  readonly training: ForwardModel;
  readonly evaluation: ForwardModel;
}

const SNAPSHOT = 'snapshot.';

/** An adapter on frozen weights, or, without `lora`, all weights. */
export function declareTrained(
  b: Builder,
  files: ModelFiles,
  lora: LoraOptions | undefined,
  positions: number,
): Trained {
  if (lora) {
    const weights = declareWeights(b, files, positions);
    const factors = declareLora(b, files.config, lora, 'parameter');
    const { start } = factors;
    const copies = declareLora(b, files.config, lora, 'state', { prefix: SNAPSHOT, start });
    return {
      start,
      values: factors.values,
      snapshot: copies.values,
      training: { weights, lora: factors },
      evaluation: { weights, lora: copies },
    };
  }
  const weights = declareWeights(b, files, positions, { role: 'parameter' });
  const copies = declareWeights(b, files, positions, {
    role: 'state',
    prefix: SNAPSHOT,
    ropeTable: weights.ropeTable,
  });
  return {
    start: new Map(),
    values: weights.values,
    snapshot: copies.values,
    training: { weights, lora: undefined },
    evaluation: { weights: copies, lora: undefined },
  };
}
