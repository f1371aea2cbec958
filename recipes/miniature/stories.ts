import type { Draws } from './draws.js';
import { type Character, type Plot, type Question, variant } from './scene.js';
import {
  ANIMALS,
  a,
  COLOURS,
  CONTAINERS,
  capital,
  DAYS,
  DRINKS,
  listed,
  MONTHS,
  PLACES,
  RELATIVES,
  SIZES,
  TOYS,
} from './words.js';

function opening(draws: Draws): string {
  const when = [
    'One day',
    'One morning',
    'One evening',
    'Last summer',
    'Early in the morning',
    'After lunch',
  ];
  if (draws.chance(0.25)) return `On ${draws.pick(DAYS)}`;
  if (draws.chance(0.1)) return `One day in ${draws.pick(MONTHS)}`;
  return draws.pickSkewed(when);
}

function closing(draws: Draws, { name, She, hers }: Character): string {
  return variant(
    draws,
    `${name} was happy.`,
    `${name} smiled and went home.`,
    `${She} told ${hers} ${draws.pickSkewed(RELATIVES)} about it.`,
    `It was a good day for ${name}.`,
    `In the evening ${name} slept well.`,
  );
}

function regret(draws: Draws, { name, She, she, hers }: Character): string {
  return variant(
    draws,
    `${name} was sad.`,
    `"Next time I will do better," said ${name}.`,
    `${She} did not tell ${hers} ${draws.pickSkewed(RELATIVES)} about it.`,
    `In the evening ${she} still thought of it.`,
  );
}

const WEATHER = [
  ['The sun was hot', 'wore a hat'],
  ['It was cold', 'put on warm gloves'],
  ['The road was muddy', 'wore old boots'],
  ['It was getting dark', 'took a lamp along'],
  ['The way was long', 'took some bread along'],
  ['There was a lot of snow', 'went by sledge'],
] as const;

/** Weather, and what follows from it. */
function weather(draws: Draws, { she, name }: Character): string {
  const [state, reaction] = draws.pickSkewed(WEATHER);
  return draws.chance(0.7)
    ? `${state}, so ${she} ${reaction}.`
    : `${name} ${reaction} because ${state[0]!.toLowerCase()}${state.slice(1)}.`;
}

/** A walk, an animal in trouble, help that fits the trouble, and what came of it. */
const outing: Plot = (draws, people) => {
  const [hero] = people as [Character];
  const { name, she, She, hers } = hero;
  const place = draws.pickSkewed(PLACES);
  const animal = draws.pickSkewed(ANIMALS);
  const [size, colour] = [draws.pickSkewed(SIZES), draws.pickSkewed(COLOURS)];
  const relative = draws.pickSkewed(RELATIVES);
  const company = draws.chance(0.5) ? ` with ${hers} ${relative}` : '';
  const { trouble, help, result } = draws.pick([
    { trouble: 'hungry', help: `gave it ${animal.food}`, result: 'ate it all up' },
    { trouble: 'lost', help: `showed it the way to ${animal.home}`, result: 'found its family there' },
    { trouble: 'cold', help: `put ${hers} coat around it`, result: 'was warm again' },
    { trouble: 'afraid', help: 'spoke to it in a soft voice', result: 'was not afraid any more' },
    { trouble: 'hurt', help: `took it to a doctor`, result: 'could run again soon' },
  ]);
  const sentences = [
    `${opening(draws)}, ${name} went to the ${place.name}${company}.`,
    ...(draws.chance(0.4) ? [weather(draws, hero)] : []),
    ...(draws.chance(0.4) ? [`${name} wanted to ${place.act[0]}.`] : []),
    `${draws.chance(0.7) ? capital(place.landmark) : `At the ${place.name}`} ${she} saw ${a(`${size} ${colour} ${animal.one}`)}.`,
    variant(
      draws,
      `The ${animal.one} was ${trouble}.`,
      `It said "${animal.sound}" and looked ${trouble}.`,
      `"Why are you so ${trouble}?" asked ${name}.`,
    ),
    variant(
      draws,
      `Although ${she} was in a hurry, ${name} ${help}.`,
      `So ${name} ${help}.`,
      `${She} ${help}.`,
      `Because it was ${trouble}, ${she} ${help}.`,
    ),
    `The ${draws.chance(0.5) ? colour : size} ${animal.one} ${result}.`,
    closing(draws, hero),
  ];
  const questions = [
    { ask: `Where did ${name} go?`, answer: `to the ${place.name}` },
    { ask: `What did ${name} see?`, answer: a(`${size} ${colour} ${animal.one}`) },
    { ask: `Why did ${name} help the ${animal.one}?`, answer: `because it was ${trouble}` },
    { ask: `What colour was the ${animal.one}?`, answer: colour },
  ];
  return { sentences, questions };
};

/** A thing stays where it was put until somebody moves it; its owner looks in the old place first. */
const hidden: Plot = (draws, people) => {
  const [owner, mover] = people as [Character, Character];
  const thing = draws.pickSkewed(TOYS).one;
  const colour = draws.pickSkewed(COLOURS);
  const [first, second] = draws.several(CONTAINERS, 2) as [string, string];
  const place = draws.pickSkewed(PLACES);
  const isMoved = draws.chance(0.7);
  const last = isMoved ? second : first;
  const moved = [
    draws.chance(0.8)
      ? `While ${owner.she} was away, ${mover.name} took the ${thing} and put it ${second}.`
      : `The ${thing} that ${owner.name} had left there was taken by ${mover.name} and put ${second}.`,
    `In the evening ${owner.name} came back and looked ${first}.`,
    variant(draws, `The ${thing} was not there.`, `There was no ${thing}!`, `But the ${thing} was gone.`),
    variant(
      draws,
      `"It is ${second}," said ${mover.name}.`,
      `"Where is my ${thing}?" asked ${owner.name}. "${capital(second)}," said ${mover.name}.`,
      `${mover.name} was sorry and said that it was ${second}.`,
    ),
  ];
  const kept = [
    `${mover.name} stayed at home but did not touch the ${thing}.`,
    `In the evening ${owner.name} came back and looked ${first}.`,
  ];
  const sentences = [
    `${owner.name} had ${a(`${colour} ${thing}`)}.`,
    `${opening(draws)}, ${owner.she} put it ${first} and went to the ${place.name}.`,
    ...(isMoved ? moved : kept),
    `${owner.name} found the ${colour} ${thing} ${last}.`,
  ];
  const questions = [
    { ask: `Where was the ${thing} at the end?`, answer: last },
    { ask: `Where did ${owner.name} put the ${thing}?`, answer: first },
    { ask: `Who had ${a(`${colour} ${thing}`)}?`, answer: owner.name },
    { ask: `Where did ${owner.name} go?`, answer: `to the ${place.name}` },
  ];
  return { sentences, questions };
};

/** What two people like is said first and decides later what they take. */
const preference: Plot = (draws, people) => {
  const [first, second] = people as [Character, Character];
  const [liked, other] = draws.several(DRINKS, 2) as [string, string];
  const relative = draws.pickSkewed(RELATIVES);
  const offered = draws.shuffled([liked, other]);
  const [host, guest] = draws.chance(0.5) ? [first, second] : [second, first];
  const likes = (who: Character) => (who === first ? liked : other);
  const sentences = [
    `${first.name} liked ${liked}, but ${second.name} liked ${other} more.`,
    `${opening(draws)}, ${host.name} came to see ${guest.name}.`,
    `${guest.name}'s ${relative} had ${listed(offered)} in the kitchen.`,
    variant(
      draws,
      `${host.name} took the ${likes(host)} and ${guest.name} took the ${likes(guest)}.`,
      `"May I have the ${likes(host)}?" asked ${host.name}. ${guest.name} drank the ${likes(guest)}.`,
      `${guest.name} got the ${likes(guest)}, so ${host.name} was glad to get the ${likes(host)}.`,
    ),
    variant(draws, 'Both were happy.', 'Then they played until it was dark.', 'Nothing was left.'),
  ];
  const questions = [first, second].map((who) => ({
    ask: `What did ${who.name} like?`,
    answer: likes(who),
  }));
  return { sentences, questions: [...questions, { ask: 'Who was the guest?', answer: host.name }] };
};

interface Outcome {
  readonly cause: string;
  readonly effects: readonly string[];
  readonly why: Question;
}

/** What happens to a person, in two versions that differ in one early detail. */
const chains: readonly ((hero: Character, isLucky: boolean, draws: Draws) => Outcome)[] = [
  ({ name, she, She, hers }, hasUmbrella) => ({
    cause: `It rained hard, ${hasUmbrella ? `but ${name} had an umbrella` : `and ${name} had no umbrella`}.`,
    effects: hasUmbrella
      ? [`So ${she} stayed dry and walked slowly.`, `${She} even sang a song in the rain.`]
      : [`So ${she} got wet and ran home.`, `${She} hung ${hers} coat by the fire until it was dry.`],
    why: {
      ask: `Why did ${name} ${hasUmbrella ? 'stay dry' : 'get wet'}?`,
      answer: `because ${she} had ${hasUmbrella ? 'an' : 'no'} umbrella`,
    },
  }),
  ({ name, she, She }, hasTrained) => ({
    cause: `${name} wanted to win the race and ${hasTrained ? 'ran every day' : 'slept every day'}.`,
    effects: hasTrained
      ? [`On the day of the race ${she} was faster than all the others.`, `${She} won a golden cup.`]
      : [`On the day of the race ${she} was slower than all the others.`, `${She} won nothing.`],
    why: {
      ask: `Why did ${name} ${hasTrained ? 'win' : 'lose'} the race?`,
      answer: `because ${she} ${hasTrained ? 'ran' : 'slept'} every day`,
    },
  }),
  ({ name, she }, remembers) => ({
    cause: `${name} put a seed into the ground and ${remembers ? 'watered it' : 'forgot it'}.`,
    effects: remembers
      ? ['After some weeks there was a green leaf.', `In summer ${she} had a tall flower.`]
      : ['The ground was hot and dry.', `Nothing grew, and in summer ${she} had no flower.`],
    why: {
      ask: `Why did ${name} have ${remembers ? 'a' : 'no'} flower?`,
      answer: `because ${she} ${remembers ? 'watered' : 'forgot'} the seed`,
    },
  }),
  ({ name, she, She, Hers }, isEarly) => ({
    cause: `${name} got up ${isEarly ? 'early' : 'late'}.`,
    effects: isEarly
      ? [`${She} had time for breakfast and caught the bus.`, `The teacher was pleased with ${name}.`]
      : [`${She} had no time for breakfast and missed the bus.`, `${Hers} teacher was cross.`],
    why: {
      ask: `Why did ${name} ${isEarly ? 'catch' : 'miss'} the bus?`,
      answer: `because ${she} got up ${isEarly ? 'early' : 'late'}`,
    },
  }),
  ({ name, she, She }, isCareful, draws) => {
    const dish = draws.pick(['cup', 'plate', 'vase', 'bowl', 'jug']);
    return {
      cause: `${name} carried a ${dish} and ${isCareful ? 'looked at the floor' : 'looked at the sky'}.`,
      effects: isCareful
        ? [`${She} put the ${dish} on the table, and nothing broke.`, `"Well done," said everybody.`]
        : [`${She} fell over a stone, and the ${dish} broke.`, `${She} had to mend the ${dish} with glue.`],
      why: {
        ask: `What happened to the ${dish}?`,
        answer: isCareful ? `${she} put the ${dish} on the table` : 'it broke',
      },
    };
  },
  ({ name, She, hers }, isTied, draws) => {
    const thing = draws.pick(['hat', 'kite', 'scarf', 'letter', 'map']);
    return {
      cause: `The wind was strong, and ${name} held ${hers} ${thing} ${isTied ? 'with both hands' : 'with two fingers'}.`,
      effects: isTied
        ? [`The wind pulled, but the ${thing} stayed with ${name}.`, `${She} brought the ${thing} home.`]
        : [`The wind took the ${thing} and blew it into the lake.`, `${She} went home without the ${thing}.`],
      why: { ask: `Where was the ${thing} at the end?`, answer: isTied ? `with ${name}` : 'in the lake' },
    };
  },
];

/** Cause and effect over several sentences. */
const consequence: Plot = (draws, people) => {
  const [hero] = people as [Character];
  const isLucky = draws.chance(0.5);
  const { cause, effects, why } = draws.pick(chains)(hero, isLucky, draws);

  const place = draws.pickSkewed(PLACES);
  const setting = `${opening(draws)}, ${hero.name} was ${draws.chance(0.5) ? 'on the way to' : 'not far from'} the ${place.name}.`;
  const isSet = draws.chance(0.4);
  const end = draws.chance(0.6) ? [isLucky ? closing(draws, hero) : regret(draws, hero)] : [];
  return { sentences: [...(isSet ? [setting] : []), cause, ...effects, ...end], questions: [why] };
};

/** An invitation; whoever says no stays at home. */
const invitation: Plot = (draws, people) => {
  const [host, guest] = people as [Character, Character];
  const place = draws.pickSkewed(PLACES);
  const [base, , past] = place.act;
  const reason = draws.pick(['tired', 'busy', 'ill', 'sad', 'angry']);
  const comes = draws.chance(0.5);
  const sentences = [
    `"Do you want to go to the ${place.name} with me?" asked ${host.name}.`,
    comes ? `"Yes, let us ${base}," said ${guest.name}.` : `"No, I am too ${reason}," said ${guest.name}.`,
    comes
      ? `So ${host.name} and ${guest.name} went to the ${place.name} and ${past} together.`
      : `So ${host.name} went to the ${place.name} alone and ${past}, while ${guest.name} stayed at home.`,
    comes ? 'They had a lot of fun.' : `The next day ${guest.name} was not ${reason} any more.`,
  ];
  const why = {
    ask: `Why did ${guest.name} stay at home?`,
    answer: `because ${guest.she} was too ${reason}`,
  };
  const who = {
    ask: `Who went to the ${place.name}?`,
    answer: comes ? `${host.name} and ${guest.name}` : host.name,
  };
  return { sentences, questions: comes ? [who] : [who, why] };
};

/** The present tense: one person does, two people do, and what was done yesterday. */
const routine: Plot = (draws, people) => {
  const [first, second] = people as [Character, Character];
  const [usual, other] = draws.several(PLACES, 2) as [(typeof PLACES)[number], (typeof PLACES)[number]];
  const day = draws.pick(DAYS);
  const together = draws.chance(0.5);
  const subject = together ? `${first.name} and ${second.name}` : first.name;
  const sentences = [
    `Every ${day} ${subject} ${together ? 'go' : 'goes'} to the ${usual.name}.`,
    `There ${together ? 'they' : first.she} often ${usual.act[together ? 0 : 1]}.`,
    `But last ${day} ${together ? 'they' : first.she} went to the ${other.name} and ${other.act[2]}.`,
    draws.chance(0.5)
      ? `"Next ${day} I will ${usual.act[0]} again," said ${first.name}.`
      : `${together ? 'They like' : `${first.name} likes`} the ${usual.name} more than the ${other.name}.`,
  ];
  const questions = [
    { ask: `When does ${first.name} go to the ${usual.name}?`, answer: `every ${day}` },
    { ask: `What did ${first.name} do last ${day}?`, answer: other.act[2] },
  ];
  return { sentences, questions };
};

export const STORIES: readonly Plot[] = [outing, hidden, preference, consequence, invitation, routine];
