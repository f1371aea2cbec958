import type { Given } from '../prepare/resolveOptions.js';

/** Words of the axis `start`, with what they stand for; any other value is an adapter. */
export const STARTS: Readonly<Record<string, Given>> = {
  random: {},
  full: { trainable: 'all' },
  pissa: { init: 'pissa' },
  milora: { init: 'milora' },
};

/** Whether a value of `init` names a way to start, not an adapter. */
export const isWordOfStart = (init: string): boolean =>
  ['random', ...Object.values(STARTS).map((given) => given.init)].includes(init);
