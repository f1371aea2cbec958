import { isDeepStrictEqual } from 'node:util';
import { calling, quoted } from '../base/invocation.js';
import { flagOf, type OptionTable, optionOf } from '../options/table.js';
import { TRAIN_OPTIONS, type TrainOptions } from '../options/train.js';

/** Options that are not the defaults, but where the run is. */
export function toldOptions(options: TrainOptions): Record<string, unknown> {
  const table: OptionTable = TRAIN_OPTIONS;
  return Object.fromEntries(
    Object.entries(options).filter(
      ([name, value]) =>
        name !== 'out' && value !== undefined && !isDeepStrictEqual(value, table[name]!.default),
    ),
  );
}

/** `node dist/train.js ...`, ready to paste: into a folder of its own, since that of the cell is taken. */
export function commandOf(options: Readonly<Record<string, unknown>>): string {
  const flags = Object.entries<unknown>(options).flatMap(([name, value]) => {
    if (value === false) return [];
    if (value === true) return [flagOf(name)];
    // Of others several values are one argument.
    const values = optionOf(TRAIN_OPTIONS, name)?.many ? [value].flat() : [value];
    return [flagOf(name), ...values.map(textOf)];
  });
  return `${calling('train')} ${flags.join(' ')}`;
}

const textOf = (value: unknown): string =>
  quoted(
    typeof value === 'object' && !Array.isArray(value)
      ? Object.entries(value as object)
          .map(([name, one]) => `${name}=${one}`)
          .join()
      : String(value),
  );
