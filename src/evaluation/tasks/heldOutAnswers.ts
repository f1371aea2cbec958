import type { Encoded } from '../../data/examples.js';
import type { Tokenizer } from '../../data/tokenizer.js';
import { cutToWrite } from './contextCut.js';
import type { WrittenItem } from './item.js';
import { overlap } from './overlap.js';
import type { PlannedAnswer, WrittenPlan } from './planTask.js';
import type { WrittenScoring } from './task.js';

/** What a model answers to held-out examples, beside what they have for an answer: the last thing to learn of each. */

export const heldOutAnswers: WrittenScoring = {
  kind: 'written',
  name: 'generate',
  measure: ({ target }, text) => ({ ...overlap(text, target), exact_match: Number(text.trim() === target) }),
};

/** What is before an answer, and the answer. */
export interface HeldOutAnswer {
  readonly prompt: Uint32Array;
  /** With what ends it. */
  readonly answer: Uint32Array;
  /** The text of the answer, without special tokens and white space around it. */
  readonly target: string;
}

type AnswerTokenizer = Pick<Tokenizer, 'decode' | 'tokenOf'>;

/**
 * The last tokens in a row that are to be learned, and all before them; undefined where everything is learned, as text is,
 * or where either side is empty.
 */
export function answerOf(
  { tokens, learned }: Encoded,
  tokenizer: AnswerTokenizer,
): HeldOutAnswer | undefined {
  if (!learned) return undefined;
  const end = learned.lastIndexOf(1) + 1;
  const start = learned.subarray(0, end).lastIndexOf(0) + 1;
  const [prompt, answer] = [tokens.slice(0, start), tokens.slice(start, end)];
  const target = tokenizer.decode(answer, { skipSpecialTokens: true }).trim();
  return prompt.length > 0 && target !== '' ? { prompt, answer, target } : undefined;
}

/** The tokens that answers end with, such as that of the end of a turn, as texts. */
function endingsOf(answers: readonly HeldOutAnswer[], tokenizer: AnswerTokenizer): string[] {
  const found = new Set<string>();
  for (const { answer } of answers) {
    for (let i = answer.length - 1; i >= 0; i--) {
      const ids = answer.subarray(i, i + 1);
      if (tokenizer.decode(ids, { skipSpecialTokens: true }).trim() !== '') break;
      if (tokenizer.decode(ids).trim() !== '') found.add(tokenizer.tokenOf(ids[0]!)!);
    }
  }
  return [...found];
}

/**
 * A prompt that leaves no room for an answer is cut from the left.
 * @param positions the most that the model reads
 * @throws InputError when the answers alone would take all positions
 */
export function planHeldOut(
  answers: readonly HeldOutAnswer[],
  tokenizer: AnswerTokenizer,
  { positions, maxTokens }: { readonly positions: number; readonly maxTokens: number },
): WrittenPlan {
  const items = answers.map(({ prompt, target }): PlannedAnswer => {
    const item: WrittenItem = { record: null, example: '', context: '', target };
    const kept = cutToWrite(prompt, positions, maxTokens);
    return { item, shown: [], isCut: kept.length < prompt.length, prompt: kept };
  });
  const part = { name: 'generate', items: items.map(({ item }) => item), pool: [], preamble: '' };
  return {
    task: heldOutAnswers,
    shots: 0,
    maxTokens,
    stop: endingsOf(answers, tokenizer),
    parts: [{ part: { ...part, draw: 'first' }, items }],
    longest: items.reduce((most, { prompt }) => Math.max(most, prompt.length), 0) + maxTokens - 1,
    cut: items.filter(({ isCut }) => isCut).length,
  };
}
