import { type Character, type Plot, variant } from './scene.js';
import { ANIMALS, a, COLOURS, counted, DAYS, factsOf, listed, PLACES, TOYS } from './words.js';

/** Who is taller than whom, told in any order of the pairs; the extremes follow. */
const ordering: Plot = (draws, people) => {
  const row = people.slice(0, draws.between(3, 4));
  const [more, most, less, least] = draws.pick([
    ['taller', 'tallest', 'shorter', 'shortest'],
    ['older', 'oldest', 'younger', 'youngest'],
    ['faster', 'fastest', 'slower', 'slowest'],
    ['stronger', 'strongest', 'weaker', 'weakest'],
  ] as const);
  const pairs = row.slice(1).map((person, i) => [row[i]!.name, person.name] as const);
  const told = draws
    .shuffled(pairs)
    .map(([high, low]) =>
      draws.chance(0.6) ? `${high} is ${more} than ${low}.` : `${low} is ${less} than ${high}.`,
    );
  const [first, last] = [row[0]!.name, row.at(-1)!.name];
  const questions = [
    { ask: `Who is the ${most}?`, answer: first },
    { ask: `Who is the ${least}?`, answer: last },
  ];
  return { sentences: [...told, `So ${first} is the ${most} and ${last} is the ${least}.`], questions };
};

/** A list that has to be remembered, forwards or backwards. */
const packing: Plot = (draws, people) => {
  const [hero] = people as [Character];
  const things = draws.several(TOYS, draws.between(3, 5)).map(({ one }) => a(one));
  const isBackwards = draws.chance(0.4);
  const order = isBackwards ? things.toReversed() : things;
  const sentences = [
    `${hero.name} packed ${listed(things)}.`,
    isBackwards
      ? `At home ${hero.she} took out everything, the last thing first: ${listed(order)}.`
      : `At home ${hero.she} took out everything in the same order: ${listed(order)}.`,
  ];
  const questions = [
    { ask: `What did ${hero.name} pack first?`, answer: things[0]! },
    { ask: `What did ${hero.name} pack last?`, answer: things.at(-1)! },
    { ask: `How many things did ${hero.name} pack?`, answer: String(things.length) },
  ];
  return { sentences, questions };
};

/** Who has which coloured thing, then a swap. */
const swap: Plot = (draws, people) => {
  const owners = people.slice(0, draws.between(2, 3));
  const things = draws.several(TOYS, owners.length).map(({ one }) => `${draws.pickSkewed(COLOURS)} ${one}`);
  const owned = new Map(owners.map(({ name }, i) => [name, things[i]!]));
  const [one, other] = draws.shuffled(owners) as [Character, Character];
  const sentences = owners.map(({ name }, i) => `${name} has ${a(things[i]!)}.`);
  if (draws.chance(0.6)) {
    sentences.push(`${one.name} and ${other.name} swap.`);
    const [first, second] = [owned.get(one.name)!, owned.get(other.name)!];
    owned.set(one.name, second).set(other.name, first);
  }
  sentences.push(`So now ${listed([...owned].map(([name, thing]) => `${name} has the ${thing}`))}.`);
  const questions = owners.map(({ name }) => ({
    ask: `What does ${name} have now?`,
    answer: `the ${owned.get(name)}`,
  }));
  return { sentences, questions };
};

/** Days of the week, counted on and back. */
const calendar: Plot = (draws, people) => {
  const today = draws.between(0, 6);
  const day = (offset: number) => DAYS[(today + offset + 7) % 7]!;
  const days = draws.between(2, 5);
  const place = draws.pickSkewed(PLACES);
  const [guest, host] = people as [Character, Character];
  const sentences = [
    `Today is ${day(0)}, and in ${days} days ${guest.name} will meet ${host.name} at the ${place.name}.`,
    `Yesterday was ${day(-1)}, and tomorrow will be ${day(1)}.`,
    `So they will ${place.act[0]} on ${day(days)}.`,
  ];
  const questions = [
    { ask: 'What day will it be tomorrow?', answer: day(1) },
    { ask: 'What day was it yesterday?', answer: day(-1) },
    { ask: `When will ${guest.name} meet ${host.name}?`, answer: `on ${day(days)}` },
  ];
  return { sentences, questions };
};

export const PUZZLES: readonly Plot[] = [ordering, packing, swap, calendar];

/** What is true of a person in every document. */
const portrait: Plot = (draws, people) => {
  const { name, person, She, she, Hers, girl } = people[0]!;
  const { town, trade, pet, petName, colour, food, month } = factsOf(person);
  const sentences = draws
    .shuffled([
      `${name} lives in ${town}.`,
      `${name} is ${a(trade.name)} who works ${trade.workplace}.`,
      `${She} has ${a(pet.one)} called ${petName}.`,
      `${Hers} favourite colour is ${colour}.`,
      `${She} likes ${food.many} best.`,
      `${name} was born in ${month}.`,
    ])
    .slice(0, draws.between(3, 6));
  const first = variant(draws, `${name} was once ${a(`little ${girl}`)}.`, `Everybody knows ${name}.`);
  const questions = [
    { ask: `Where does ${name} live?`, answer: `in ${town}` },
    { ask: `What is ${name}'s job?`, answer: `${she} is ${a(trade.name)}` },
    { ask: `What is ${name}'s favourite colour?`, answer: colour },
    { ask: `What is the name of ${name}'s ${pet.one}?`, answer: petName },
  ];
  return { sentences: [first, ...sentences], questions };
};

/** What animals are like. */
const nature: Plot = (draws, people) => {
  const animal = draws.pickSkewed(ANIMALS);
  const count = draws.between(2, 4);
  const sentences = draws
    .shuffled([
      `${a(animal.one)[0]!.toUpperCase()}${a(animal.one).slice(1)} says "${animal.sound}".`,
      `It lives in ${animal.home}.`,
      `It likes to eat ${animal.food}.`,
      `It has ${animal.legs} legs.`,
    ])
    .slice(0, count);
  const questions = [
    { ask: `What does ${a(animal.one)} say?`, answer: animal.sound },
    { ask: `Where does ${a(animal.one)} live?`, answer: `in ${animal.home}` },
    {
      ask: `How many legs does ${a(animal.one)} have?`,
      answer: counted(animal.legs, { one: 'leg', many: 'legs' }),
    },
  ];
  const who = people[0]!.name;
  const first = variant(
    draws,
    `${who} drew ${a(animal.one)}.`,
    `${who} knows a lot about the ${animal.one}.`,
    `Last ${draws.pick(DAYS)} ${who} dreamed of ${a(animal.one)}.`,
  );
  return { sentences: [first, ...sentences], questions };
};

/** What trades are like. */
const work: Plot = (draws, people) => {
  const { name: who, person } = people[0]!;
  const { name, workplace, product, tool } = factsOf(person).trade;
  const sentences = [
    `${who} is ${a(name)}.`,
    ...draws.shuffled([
      `So ${who} works ${workplace}.`,
      `A good ${name} needs ${tool}.`,
      `Every day ${who} ${product}.`,
    ]),
  ];
  const questions = [
    { ask: `Where does ${a(name)} work?`, answer: workplace },
    { ask: `What does ${a(name)} need?`, answer: tool },
    { ask: `Who is ${a(name)}?`, answer: who },
  ];
  return { sentences, questions };
};

export const FACTS: readonly Plot[] = [portrait, portrait, nature, work];
