import { type Mixture, miniatureDocument } from './grammar.js';

/** The texts of the miniature: which documents of the grammar each one is. No text of one is in another one. */

const SEED = 1;
/** Documents are numbered far apart, so that a text can grow without running into the next one. */
const STRIDE = 1_000_000;

export interface Corpora {
  /** Held out of everything. */
  readonly heldOut: readonly string[];
  /** What adapters are trained on. */
  readonly corpus: readonly string[];
  /** What the models were made from. */
  readonly student: readonly string[];
  readonly teacher: readonly string[];
  /** Held out, too: of the kind that the student was made from, and what examples are cut from (examples.ts). */
  readonly general: readonly string[];
  readonly examples: readonly string[];
}

/** How many documents each text has. */
export type CorpusSizes = { readonly [K in keyof Corpora]: number };

/** Of the bundled miniature. */
export const DOCUMENTS: CorpusSizes = {
  heldOut: 800,
  corpus: 5000,
  student: 40_000,
  teacher: 60_000,
  general: 150,
  examples: 6000,
};

const MIXTURE: { readonly [K in keyof Corpora]: Mixture } = {
  heldOut: 'target',
  corpus: 'target',
  student: 'general',
  teacher: 'target',
  general: 'general',
  examples: 'target',
};

/** Short documents repeat by chance: each text leaves out what is in one before it. */
export function makeCorpora(sizes: CorpusSizes): Corpora {
  const taken = new Set<string>();
  const make = (name: keyof Corpora, number: number): string[] => {
    const texts: string[] = [];
    for (let index = number * STRIDE; texts.length < sizes[name]; index++) {
      const { text } = miniatureDocument(SEED, index, MIXTURE[name]);
      if (!taken.has(text)) texts.push(text);
    }
    for (const text of texts) taken.add(text);
    return texts;
  };
  return {
    heldOut: make('heldOut', 0),
    corpus: make('corpus', 1),
    student: make('student', 2),
    teacher: make('teacher', 3),
    general: make('general', 4),
    examples: make('examples', 5),
  };
}

/** Lines of `.jsonl`: a record a line. */
export const toLines = (records: readonly object[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

/** The same of texts. */
export const toJsonl = (texts: readonly string[]): string => toLines(texts.map((text) => ({ text })));
