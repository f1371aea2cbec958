import { excerpt, InputError } from '../base/errors.js';
import { stem } from './porter.js';

/**
 * ROUGE (Lin 2004) with the numbers of google's rouge-score 0.1.2. `js-rouge` counts alike, given google's tokens, but
 * tells F alone, and no stemmer on npm is NLTK's.
 */

/** Shares of the prediction's and of the reference's units that the other one has, and their harmonic mean. */
export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export const ROUGE_TYPES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum'] as const;

/** Single words, pairs of words, the longest common subsequence, the same line by line. */
export type RougeType = (typeof ROUGE_TYPES)[number];

export interface RougeOptions {
  /** Compare stems (Porter, as NLTK has it) of words longer than three letters. Default: false. */
  readonly stemming?: boolean | undefined;
}

/**
 * Compares a text with a reference: their words are runs of a-z and 0-9 after lower-casing, all else separates them.
 * `rougeL` takes each text as one sequence, `rougeLsum` its lines (split at "\n" alone) as sentences. A text without
 * words scores 0 throughout.
 * @throws InputError for what is no text
 */
export function rouge(
  reference: string,
  prediction: string,
  { stemming = false }: RougeOptions = {},
): Readonly<Record<RougeType, RougeScore>> {
  for (const [name, text] of Object.entries({ reference, prediction })) {
    if (typeof text !== 'string') throw new InputError(`${name}: expected a text, found ${excerpt(text)}`);
  }
  const lines = [reference, prediction].map((text) => linesOf(text, stemming));
  const [expected, found] = lines.map((words) => words.flat()) as [string[], string[]];
  return {
    rouge1: nGramScore(expected, found, 1),
    rouge2: nGramScore(expected, found, 2),
    rougeL: scoreOf(lcsTable(expected, found).at(-1)!.at(-1)!, expected.length, found.length),
    rougeLsum: summaryScore(lines[0]!, lines[1]!),
  };
}

/** Words of each line; a word never goes on in the next one. */
function linesOf(text: string, stemming: boolean): string[][] {
  return text.split('\n').map((line) => {
    const words = line.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    return stemming ? words.map((word) => (word.length > 3 ? stem(word) : word)).filter(Boolean) : words;
  });
}

function scoreOf(hits: number, expected: number, found: number): RougeScore {
  const [precision, recall] = [hits / Math.max(found, 1), hits / Math.max(expected, 1)];
  const f1 = hits > 0 ? (2 * precision * recall) / (precision + recall) : 0;
  return { precision, recall, f1 };
}

/** Each n-gram is hit as often as both have it. */
function nGramScore(expected: readonly string[], found: readonly string[], n: number): RougeScore {
  const [a, b] = [expected, found].map((words) => countsOf(nGrams(words, n)));
  let hits = 0;
  for (const [gram, count] of a!) hits += Math.min(count, b!.get(gram) ?? 0);
  return scoreOf(hits, Math.max(0, expected.length - n + 1), Math.max(0, found.length - n + 1));
}

const nGrams = (words: readonly string[], n: number): string[] =>
  words.slice(n - 1).map((_, i) => words.slice(i, i + n).join(' '));

function countsOf(units: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const unit of units) counts.set(unit, (counts.get(unit) ?? 0) + 1);
  return counts;
}

/**
 * Of each line of the reference, the words in the union of its longest common subsequences with all lines of the
 * prediction; a word is a hit as often as both texts have it.
 */
function summaryScore(expected: readonly string[][], found: readonly string[][]): RougeScore {
  const left = [expected, found].map((lines) => countsOf(lines.flat()));
  let hits = 0;
  for (const line of expected) {
    const union = new Set(found.flatMap((other) => commonIndices(line, other)));
    for (const i of [...union].sort((a, b) => a - b)) {
      const word = line[i]!;
      if (left.some((counts) => !counts.get(word))) continue;
      hits++;
      for (const counts of left) counts.set(word, counts.get(word)! - 1);
    }
  }
  return scoreOf(hits, expected.flat().length, found.flat().length);
}

/** Where a longest common subsequence of both lies in `a`; of several the one that rouge-score reads out. */
function commonIndices(a: readonly string[], b: readonly string[]): number[] {
  const table = lcsTable(a, b);
  const indices: number[] = [];
  let [i, j] = [a.length, b.length];
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      indices.push(--i);
      j--;
    } else if (table[i]![j - 1]! > table[i - 1]![j]!) j--;
    else i--;
  }
  return indices;
}

/** [a + 1][b + 1] lengths of the longest common subsequences of the first i and j words. */
function lcsTable(a: readonly string[], b: readonly string[]): Uint32Array[] {
  const table = [new Uint32Array(b.length + 1)];
  for (const word of a) {
    const [above, row] = [table.at(-1)!, new Uint32Array(b.length + 1)];
    for (let j = 1; j <= b.length; j++) {
      row[j] = word === b[j - 1] ? above[j - 1]! + 1 : Math.max(above[j]!, row[j - 1]!);
    }
    table.push(row);
  }
  return table;
}
