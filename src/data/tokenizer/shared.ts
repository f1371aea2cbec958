import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadTokenizer, type Tokenizer } from '../tokenizer.js';
import { tokenizerPaths } from './file.js';

/** Tokenizers that a thread keeps: a student's, a teacher's, and one that documents are given in. */
const MOST = 3;

const kept = new Map<string, Promise<Tokenizer>>();

/**
 * As `loadTokenizer`, but a tokenizer that this thread has read already is given again as long as its files are the same:
 * one run after the other needs it, and reading one takes longer than a short run's step.
 * @throws InputError as `loadTokenizer` does
 */
export function sharedTokenizer(dir: string): Promise<Tokenizer> {
  const stamp = JSON.stringify([resolve(dir), ...tokenizerPaths(dir).map(stampOf)]);
  const known = kept.get(stamp) ?? loadTokenizer(dir);
  kept.delete(stamp);
  kept.set(stamp, known);
  known.catch(() => kept.delete(stamp));
  for (const oldest of [...kept.keys()].slice(0, -MOST)) kept.delete(oldest);
  return known;
}

function stampOf(path: string): unknown {
  const status = statSync(path, { throwIfNoEntry: false });
  return status && [status.ino, status.size, status.mtimeMs];
}
