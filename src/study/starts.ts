import type { Given } from '../prepare/resolveOptions.js';

/** Words of the axis `start`, with what they stand for; any other value is an adapter. */
export const STARTS: ReadonlyMap<string, Given> = new Map([
  ['random', {}],
  ['full', { trainable: 'all' }],
  ['pissa', { init: 'pissa' }],
  ['milora', { init: 'milora' }],
]);
