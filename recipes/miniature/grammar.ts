import { sums, TALES } from './arithmetic.js';
import { Draws } from './draws.js';
import { FACTS, PUZZLES } from './puzzles.js';
import { cast, type Plot, type Question, type Scene } from './scene.js';
import { STORIES } from './stories.js';

/**
 * What a document is. `story` is told in the past tense, `tale` has numbers in it, `sums` are bare equations, `facts`
 * are about the world, `puzzle` asks for deduction; `questions` is any of them with questions and answers below.
 */
export type Kind = 'story' | 'tale' | 'sums' | 'facts' | 'puzzle' | 'questions';

/**
 * Shares of the kinds in percent. `general` is what the student was made from: mostly stories. `target` is what the
 * teacher was made from and what the corpus holds; most of it the student has hardly seen.
 */
export const MIXTURES = {
  general: { story: 88, tale: 3, sums: 1, facts: 5, puzzle: 1, questions: 2 },
  target: { story: 20, tale: 20, sums: 8, facts: 12, puzzle: 15, questions: 25 },
} as const satisfies Record<string, Readonly<Record<Kind, number>>>;

export type Mixture = keyof typeof MIXTURES;

const PLOTS: Readonly<Record<Kind, readonly Plot[]>> = {
  story: STORIES,
  tale: TALES,
  sums: [sums],
  facts: FACTS,
  puzzle: PUZZLES,
  questions: [...STORIES, ...TALES, ...TALES, ...FACTS, ...PUZZLES],
};

/** Document `index` of a mixture: what it is and its text. */
export interface MiniatureDocument {
  readonly kind: Kind;
  readonly text: string;
}

/** A pure function of its arguments: any document can be made alone. `seed` and `index` are integers from 0. */
export function miniatureDocument(seed: number, index: number, mixture: Mixture): MiniatureDocument {
  const draws = new Draws(2 * seed + (mixture === 'target' ? 1 : 0), index);
  const kind = draws.weighted(MIXTURES[mixture]);
  const people = cast(draws);
  const scenes = [draws.pick(PLOTS[kind])(draws, people)];
  // A second scene has the same people in other parts: what was said of them before is some way back.
  if (draws.chance(0.5)) scenes.push(draws.pick(PLOTS[kind])(draws, [...people.slice(1), people[0]!]));
  const paragraphs = scenes.map(({ sentences }) => sentences.join(' '));
  const answered = kind === 'questions' ? questionLines(draws, scenes) : [];
  return { kind, text: [...paragraphs, ...answered].join('\n') };
}

/** One to three questions, a line each for question and answer. What two scenes answer differently is not asked. */
function questionLines(draws: Draws, scenes: readonly Scene[]): string[] {
  const questions = scenes.flatMap((scene) => scene.questions);
  const isClear = ({ ask, answer }: Question) =>
    questions.every((other) => other.ask !== ask || other.answer === answer);
  const answers = new Map(questions.filter(isClear).map(({ ask, answer }) => [ask, answer]));
  return draws
    .shuffled([...answers])
    .slice(0, draws.between(1, 3))
    .flatMap(([ask, answer]) => [`Question: ${ask}`, `Answer: ${answer}.`]);
}
