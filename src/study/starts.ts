import type { Given } from '../prepare/resolveOptions.js';

/** The axis of starting points. */
export const START = 'start';
/** Its word for training every weight: the control. */
export const FULL = 'full';

/** What its words stand for. */
const WORDS: ReadonlyMap<string, Given> = new Map([
  ['random', { init: 'random', trainable: 'lora' }],
  [FULL, { init: 'random', trainable: 'all' }],
  ['pissa', { init: 'pissa', trainable: 'lora' }],
  ['milora', { init: 'milora', trainable: 'lora' }],
]);

/** All that a value of it says; one that is no word is an adapter. */
export const startOptions = (label: string): Given => WORDS.get(label) ?? { init: label, trainable: 'lora' };
