import type { Session } from '#src/devices/device.js';
import { type ModelFiles, type ModelWeights, ropeTable, weightShapes } from '#src/model/weights.js';
import { fillModelValue } from './measure.js';
import { configOf, SHAPES, type ShapeName } from './shapes.js';

/** A model that exists as shapes only; `fill` makes its numbers. */
export function randomFiles(shape: ShapeName, who: 'student' | 'teacher'): ModelFiles {
  const config = configOf(SHAPES[shape][who]);
  const dtype = ['llama', 'smollm2'].includes(shape) ? 'BF16' : 'F32';
  const tensors = [...weightShapes(config)].map(([name, dimensions]) => {
    const info = { name, dtype, shape: [...dimensions], byteOffset: 0, byteLength: 0, path: '' };
    return [name, info] as const;
  });
  return {
    folder: who,
    configFile: who,
    config,
    tensors: new Map(tensors) as unknown as ModelFiles['tensors'],
  };
}

/** Makes the numbers of a model's weights. */
export async function fillModel(
  session: Session,
  { config, values, ropeTable: table }: ModelWeights,
): Promise<void> {
  for (const value of values.values()) await fillModelValue(session, value);
  await session.write(table, ropeTable(config, table.shape[0]!));
}
