import { randomUint32 } from '#src/data/random.js';

/** The words of the miniature's language and how they bend. Lists are ordered: earlier words are used more often. */

const words = (text: string): string[] => text.trim().split(/\s+/);

export interface Person {
  readonly name: string;
  readonly gender: 'f' | 'm';
}

const WOMEN =
  words(`Mia Ann Lily Emma Sara Nora Ella Rosa Ida Zoe Ruth Vera Olga Jane Kate Lucy Clara Hanna Alice
  Maria Greta Tilda Wanda Peggy Flora Edith Agnes Daisy Hilda Yvonne`);
const MEN =
  words(`Tom Ben Max Sam Leo Paul Jack Finn Hugo Otto Adam Carl Eric Noah Oscar Peter Simon Victor Walter
  Henry Felix Jonas Martin Dennis Edgar Gustav Ivan Quentin Roland Urban`);

/** Women and men in turn. */
export const PEOPLE: readonly Person[] = WOMEN.flatMap((name, i): Person[] => [
  { name, gender: 'f' },
  { name: MEN[i]!, gender: 'm' },
]);

/** The pronouns of a person. */
export function pronouns({ gender }: Person) {
  return gender === 'f'
    ? { she: 'she', her: 'her', hers: 'her', herself: 'herself', girl: 'girl' }
    : { she: 'he', her: 'him', hers: 'his', herself: 'himself', girl: 'boy' };
}

export interface Noun {
  readonly one: string;
  readonly many: string;
}

/** `leaf/leaves`; without a slash the plural ends in s. */
const nouns = (text: string): Noun[] =>
  words(text).map((word) => {
    const [one, many] = word.split('/');
    return { one: one!, many: many ?? `${one}s` };
  });

export const FOODS = nouns(`apple pear egg plum cookie cake nut carrot berry/berries bun cherry/cherries
  peach/peaches lemon radish/radishes waffle onion`);
export const DRINKS = words('milk tea juice water cocoa lemonade coffee cider broth');
export const TOYS =
  nouns(`ball kite doll drum book boat hat cup key bell scarf/scarves whistle lamp puppet mask
  rope basket knife/knives`);
export const COLLECTED =
  nouns(`shell stone button coin card marble stamp feather bead pencil leaf/leaves ribbon
  ticket brush/brushes candle acorn`);
export const COUNTABLE: readonly Noun[] = FOODS.flatMap((food, i) => [food, COLLECTED[i]!]);

export const COLOURS = words('red blue green yellow white black brown pink grey purple golden silver');
export const SIZES = words('little big small old new tiny large pretty strange');
export const CONTAINERS = [
  ...['in the box', 'in the bag', 'under the bed', 'in the drawer', 'on the table', 'behind the door'],
  ...['on the shelf', 'in the basket', 'under the chair', 'in the cupboard', 'behind the sofa', 'in the jar'],
  ...['under the carpet', 'on the windowsill', 'in the chest', 'beside the stove'],
];
export const RELATIVES = words('mother father sister brother grandmother uncle aunt grandfather cousin');
export const DAYS = words('Monday Tuesday Wednesday Thursday Friday Saturday Sunday');
export const MONTHS = words(
  'January February March April May June July August September October November December',
);

export interface Animal extends Noun {
  readonly sound: string;
  readonly food: string;
  readonly home: string;
  readonly legs: number;
}

const animal = (noun: string, sound: string, food: string, home: string, legs = 4): Animal => ({
  ...nouns(noun)[0]!,
  ...{ sound, food, home, legs },
});

export const ANIMALS: readonly Animal[] = [
  animal('dog', 'woof', 'a bone', 'a kennel'),
  animal('cat', 'meow', 'a fish', 'a house'),
  animal('duck', 'quack', 'some seeds', 'a pond', 2),
  animal('bird', 'tweet', 'a worm', 'a nest', 2),
  animal('cow', 'moo', 'some grass', 'a barn'),
  animal('horse', 'neigh', 'some hay', 'a stable'),
  animal('pig', 'oink', 'some corn', 'a sty'),
  animal('mouse/mice', 'squeak', 'some cheese', 'a hole'),
  animal('sheep/sheep', 'baa', 'some clover', 'a meadow'),
  animal('frog', 'croak', 'a fly', 'a swamp'),
  animal('owl', 'hoot', 'a beetle', 'a hollow tree', 2),
  animal('bee', 'buzz', 'some nectar', 'a hive', 6),
  animal('goose/geese', 'honk', 'some oats', 'a yard', 2),
  animal('wolf/wolves', 'howl', 'some meat', 'a den'),
];

export interface Place {
  readonly name: string;
  readonly landmark: string;
  /** What one does there: base, third person, past. */
  readonly act: readonly [base: string, third: string, past: string];
}

const place = (name: string, landmark: string, ...act: [string, string, string]): Place => ({
  name,
  landmark,
  act,
});

export const PLACES: readonly Place[] = [
  place('park', 'near the old bench', 'play on the swings', 'plays on the swings', 'played on the swings'),
  place('farm', 'behind the barn', 'feed the hens', 'feeds the hens', 'fed the hens'),
  place('forest', 'under a tall tree', 'pick mushrooms', 'picks mushrooms', 'picked mushrooms'),
  place(
    'beach',
    'beside a rock',
    'build a castle of sand',
    'builds a castle of sand',
    'built a castle of sand',
  ),
  place('garden', 'between the roses', 'water the beans', 'waters the beans', 'watered the beans'),
  place('river', 'on the wooden bridge', 'catch a fish', 'catches a fish', 'caught a fish'),
  place('market', 'next to a cart', 'buy some bread', 'buys some bread', 'bought some bread'),
  place('school', 'by the gate', 'write a poem', 'writes a poem', 'wrote a poem'),
  place('lake', 'in the reeds', 'swim to the island', 'swims to the island', 'swam to the island'),
  place('library', 'on the steps', 'read about the stars', 'reads about the stars', 'read about the stars'),
  place('hill', 'in the long grass', 'fly a kite', 'flies a kite', 'flew a kite'),
  place('harbour', 'on a pile of nets', 'draw the ships', 'draws the ships', 'drew the ships'),
];

export interface Trade {
  readonly name: string;
  readonly workplace: string;
  readonly product: string;
  readonly tool: string;
}

const trade = (name: string, workplace: string, product: string, tool: string): Trade => ({
  name,
  workplace,
  product,
  tool,
});

export const TRADES: readonly Trade[] = [
  trade('baker', 'in a bakery', 'bakes bread', 'an oven'),
  trade('farmer', 'in the fields', 'grows corn', 'a plough'),
  trade('teacher', 'in a school', 'teaches children', 'chalk'),
  trade('doctor', 'in a clinic', 'helps sick people', 'bandages'),
  trade('tailor', 'in a small shop', 'sews coats', 'a needle'),
  trade('sailor', 'on a ship', 'ties knots', 'a compass'),
  trade('painter', 'in a studio', 'paints pictures', 'brushes'),
  trade('gardener', 'in a park', 'plants roses', 'a spade'),
  trade('carpenter', 'in a workshop', 'builds tables', 'a saw'),
  trade('miner', 'under the ground', 'digs for coal', 'a pick'),
  trade('blacksmith', 'in a forge', 'makes horseshoes', 'an anvil'),
  trade('singer', 'in a theatre', 'sings old songs', 'a good voice'),
];

export const TOWNS =
  words(`Oakham Redbridge Willowby Stonefield Marlow Ashford Kingsport Longmere Brightwell Foxhill
  Greenwater Thornbury Seacliff Millbrook Ravenhurst Eastwick`);
const PET_NAMES = words('Rex Bella Spot Coco Rusty Pip Shadow Ginger Biscuit Star Tiger Pepper');

/** What is true of a person in every document: the miniature's world knowledge. */
export interface Facts {
  readonly town: string;
  readonly trade: Trade;
  readonly pet: Animal;
  readonly petName: string;
  readonly colour: string;
  readonly food: Noun;
  readonly month: string;
}

const WORLD_SEED = 1913;

export function factsOf(person: Person): Facts {
  const who = PEOPLE.indexOf(person);
  const known = <T>(items: readonly T[], attribute: number): T =>
    items[randomUint32(WORLD_SEED, attribute, who) % items.length]!;
  return {
    town: known(TOWNS, 0),
    trade: known(TRADES, 1),
    pet: known(ANIMALS, 2),
    petName: known(PET_NAMES, 3),
    colour: known(COLOURS, 4),
    food: known(FOODS, 5),
    month: known(MONTHS, 6),
  };
}

/** `3 apples`, `1 apple`, `no apples`. */
export const counted = (count: number, noun: Noun): string =>
  `${count === 0 ? 'no' : count} ${count === 1 ? noun.one : noun.many}`;

/** A phrase with its indefinite article. */
export const a = (phrase: string): string => `${/^[aeiou]/.test(phrase) ? 'an' : 'a'} ${phrase}`;

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** `a`, `a and b`, `a, b and c`. */
export const listed = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
