import type { Draws } from './draws.js';
import { PEOPLE, type Person, pronouns } from './words.js';

export interface Question {
  readonly ask: string;
  readonly answer: string;
}

/** Sentences that make sense together, and what can be asked about them; the answers follow from the sentences. */
export interface Scene {
  readonly sentences: readonly string[];
  readonly questions: readonly Question[];
}

/** A way to make scenes with (some of) MOST_PEOPLE different people, the first of them in the first place. */
export type Plot = (draws: Draws, people: readonly Character[]) => Scene;
export const MOST_PEOPLE = 4;

/** A person with the forms that sentences need. `She` begins a sentence. */
export function character(person: Person) {
  const words = pronouns(person);
  const upper = (word: string) => word[0]!.toUpperCase() + word.slice(1);
  return { person, name: person.name, ...words, She: upper(words.she), Hers: upper(words.hers) };
}

export type Character = ReturnType<typeof character>;

/** The people of a document. */
export const cast = (draws: Draws): Character[] => draws.several(PEOPLE, MOST_PEOPLE).map(character);

/** One of the things people say with the same meaning. */
export const variant = (draws: Draws, ...ways: string[]): string => draws.pick(ways);
