import { toggle } from './schemas.js';
import type { Option } from './table.js';

/** Flags that say how a program prints its result: the library has no such options. */
export const PRINTING_FLAGS = {
  json: { group: 'run', schema: toggle, default: false, help: 'print one JSON object on one line' },
} as const satisfies Record<string, Option>;
