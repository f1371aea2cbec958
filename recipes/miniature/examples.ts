import type { Corpora } from './corpora.js';

/**
 * Examples to answer: documents cut where an answer begins. The prompt is what stands in the document, word for word, so
 * that a model is asked in the form in which its text answers.
 */
export interface MiniatureExample {
  readonly prompt: string;
  readonly completion: string;
}

/** How many of each there are; equations and tales are the arithmetic. */
export const EXAMPLES = { puzzles: 250, equations: 250, tales: 100 } as const;

/** The first question of a document about a story, a fact or a puzzle. What counts things belongs to arithmetic. */
const ASKED = /^((?:(?!Question: ).*\n)+Question: (?!How many |Who has the ).*\nAnswer:)( .*)/;
/** The result of an equation that ends a document. */
const COMPUTED = /^((?:\d|If )[\s\S]*(?: =| you get))( \d+\.)$/;
/** What is left at the end of a tale, of which nothing before says it. */
const COUNTED = /^([\s\S]*(?:Now \w+ had|(?<=\. )(?:She|He) had))( (?:\d+|no) \w+(?: left)?\.)$/;

function cut(text: string, pattern: RegExp): MiniatureExample | undefined {
  const [, prompt, completion] = pattern.exec(text) ?? [];
  return prompt === undefined || completion === undefined ? undefined : { prompt, completion };
}

/** What a document asks, if it does. */
export const puzzleOf = (text: string): MiniatureExample | undefined => cut(text, ASKED);

/** What is to be computed at the end of a document: an equation, or what is left in a tale. */
export const equationOf = (text: string): MiniatureExample | undefined => cut(text, COMPUTED);
export const taleOf = (text: string): MiniatureExample | undefined => cut(text, COUNTED);

/** The first examples of each kind, without any that a model could have read on to the answer in another text. */
export function makeExamples(corpora: Corpora): Record<'puzzles' | 'arithmetic', MiniatureExample[]> {
  const { examples, general: _, ...read } = corpora;
  const make = (of: (text: string) => MiniatureExample | undefined, count: number): MiniatureExample[] => {
    const seen = new Set(Object.values(read).flatMap((texts) => texts.map((text) => of(text)?.prompt)));
    const found = examples.map(of).filter((example) => example && !seen.has(example.prompt));
    return (found as MiniatureExample[]).slice(0, count);
  };
  return {
    puzzles: make(puzzleOf, EXAMPLES.puzzles),
    arithmetic: [...make(equationOf, EXAMPLES.equations), ...make(taleOf, EXAMPLES.tales)],
  };
}
