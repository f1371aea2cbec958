import type { Draws } from './draws.js';
import { type Character, type Plot, variant } from './scene.js';
import { COUNTABLE, counted, DAYS, listed, type Noun, PLACES } from './words.js';

/** Numbers stay between 0 and this. */
export const LARGEST_NUMBER = 20;

interface Change {
  readonly sentence: string;
  readonly by: number;
}

function gain(draws: Draws, hero: Character, friend: Character, noun: Noun, by: number): Change {
  const { She, her, name } = hero;
  const more = `${by} more`;
  const sentence = variant(
    draws,
    `${friend.name} gave ${her} ${more}.`,
    `${She} found ${more} at the ${draws.pickSkewed(PLACES).name}.`,
    `${name} bought ${more} on ${draws.pick(DAYS)}.`,
    `Then ${hero.she} got ${counted(by, noun)} from ${friend.name}.`,
  );
  return { sentence, by };
}

function loss(draws: Draws, hero: Character, friend: Character, noun: Noun, by: number): Change {
  const { She, name } = hero;
  const sentence = variant(
    draws,
    `${She} gave ${by} to ${friend.name}.`,
    `${name} lost ${by} on the way to the ${draws.pickSkewed(PLACES).name}.`,
    `${friend.name} took ${by} of them.`,
    `Then ${hero.she} sold ${counted(by, noun)} to ${friend.name}.`,
  );
  return { sentence, by: -by };
}

/** Things come and go, up to three times; who kept count knows how many are left. */
const tale: Plot = (draws, people) => {
  const [hero, friend] = people as [Character, Character];
  const noun = draws.pickSkewed(COUNTABLE);
  const start = draws.between(2, 12);
  const sentences = [`${hero.name} had ${counted(start, noun)}.`];
  const steps = draws.between(1, 3);
  let count = start;
  let isLoss = false;
  for (let step = 1; step <= steps; step++) {
    isLoss = count > 1 && (draws.chance(0.5) || count === LARGEST_NUMBER);
    const change = isLoss
      ? loss(draws, hero, friend, noun, draws.between(1, Math.min(9, count)))
      : gain(draws, hero, friend, noun, draws.between(1, Math.min(9, LARGEST_NUMBER - count)));
    count += change.by;
    sentences.push(change.sentence);
    if (step < steps && draws.chance(0.4)) sentences.push(`That ${isLoss ? 'left' : 'made'} ${count}.`);
    if (count === 0) break;
  }
  sentences.push(
    isLoss && draws.chance(0.5)
      ? `${hero.She} had ${counted(count, noun)} left.`
      : `Now ${draws.chance(0.5) ? hero.she : hero.name} had ${counted(count, noun)}.`,
  );
  const questions = [
    { ask: `How many ${noun.many} did ${hero.name} have at the end?`, answer: String(count) },
    { ask: `How many ${noun.many} did ${hero.name} have at first?`, answer: String(start) },
  ];
  return { sentences, questions };
};

/** Two or three people count together, and compare. */
const together: Plot = (draws, people) => {
  const counters = people.slice(0, draws.between(2, 3));
  const noun = draws.pickSkewed(COUNTABLE);
  const most = Math.floor(LARGEST_NUMBER / counters.length);
  const numbers = draws.shuffled(Array.from({ length: most }, (_, i) => i + 1)).slice(0, counters.length);
  const sum = numbers.reduce((total, number) => total + number, 0);
  const richest = counters[numbers.indexOf(Math.max(...numbers))]!;
  const poorest = counters[numbers.indexOf(Math.min(...numbers))]!;
  const difference = Math.max(...numbers) - Math.min(...numbers);
  const have = counters.map(({ name }, i) =>
    i === 0 ? `${name} has ${counted(numbers[i]!, noun)}` : `${name} has ${numbers[i]}`,
  );
  const sentences = [
    `${listed(have)}.`,
    `Together they have ${counted(sum, noun)}.`,
    `${richest.name} has ${difference} more than ${poorest.name}.`,
  ];
  const questions = [
    { ask: `How many ${noun.many} do they have together?`, answer: String(sum) },
    { ask: `Who has the most ${noun.many}?`, answer: richest.name },
    { ask: `Who has the fewest ${noun.many}?`, answer: poorest.name },
  ];
  return { sentences, questions };
};

export const TALES: readonly Plot[] = [tale, tale, together];

/** Equations and comparisons without a story: each is true. */
export const sums: Plot = (draws) => {
  const count = draws.between(3, 7);
  const sentences = Array.from({ length: count }, () => {
    const larger = draws.between(2, LARGEST_NUMBER);
    const smaller = draws.between(1, larger - 1);
    const rest = larger - smaller;
    return draws.pick([
      `${smaller} + ${rest} = ${larger}.`,
      `${larger} - ${smaller} = ${rest}.`,
      `${larger} is more than ${smaller}.`,
      `${smaller} is less than ${larger}.`,
      `If you take ${smaller} from ${larger}, you get ${rest}.`,
    ]);
  });
  return { sentences, questions: [] };
};
