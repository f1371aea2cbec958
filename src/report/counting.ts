import type { CountRecord } from '../records.js';
import { throttledLine } from './throttledLine.js';

/** Shows on stderr how far the counting of an epoch is. */
export function showCount(): (record: CountRecord) => void {
  const line = throttledLine();
  return ({ tokens }) =>
    line.update(() => `counting the text for --epochs  ${tokens.toLocaleString('en')} tokens`);
}
