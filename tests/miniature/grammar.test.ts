import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LARGEST_NUMBER } from '#recipes/miniature/arithmetic.js';
import { type Kind, MIXTURES, type Mixture, miniatureDocument } from '#recipes/miniature/grammar.js';
import { ANIMALS, type Animal, DAYS, factsOf, PEOPLE } from '#recipes/miniature/words.js';
import { itemsOf, paragraphsOf, questionsOf, replayOrder, replayTale } from './replay.js';

const SEED = 7;
const mixtures = Object.keys(MIXTURES) as Mixture[];
const documents = mixtures.flatMap((mixture) =>
  Array.from({ length: 10_000 }, (_, index) => miniatureDocument(SEED, index, mixture)),
);
const texts = documents.map(({ text }) => text);
const paragraphs = texts.flatMap(paragraphsOf);
const asked = texts.flatMap((text) => questionsOf(text).map((question) => ({ ...question, text })));

/** Matches of a pattern, of which there have to be some. */
function matches(pattern: RegExp, among = texts): RegExpExecArray[] {
  const found = among.flatMap((text) => [...text.matchAll(pattern)] as RegExpExecArray[]);
  assert.ok(found.length > 50, `${pattern} occurs ${found.length} times`);
  return found;
}

/** Questions that match, of which there have to be some, with the groups of the match. */
function questions(pattern: RegExp) {
  const found = asked.flatMap(({ ask, answer, text }) => {
    const groups = pattern.exec(ask);
    return groups ? [{ groups, answer, text }] : [];
  });
  assert.ok(found.length > 20, `${pattern} is asked ${found.length} times`);
  return found;
}

const grammar = suite('miniature/grammar');

grammar('a document is a function of seed, index and mixture alone', () => {
  const backwards = [9, 5, 0].map((index) => miniatureDocument(SEED, index, 'target'));
  assert.equal(
    backwards,
    [9, 5, 0].map((index) => documents[10_000 * mixtures.indexOf('target') + index]),
  );
  const variants = [
    miniatureDocument(SEED, 0, 'target'),
    miniatureDocument(SEED + 1, 0, 'target'),
    miniatureDocument(SEED, 1, 'target'),
    miniatureDocument(SEED, 0, 'general'),
  ];
  assert.is(new Set(variants.map(({ text }) => text)).size, variants.length);
});

grammar('kinds come in the proportions of the mixture', () => {
  mixtures.forEach((mixture, i) => {
    const part = documents.slice(10_000 * i, 10_000 * (i + 1));
    const shares = MIXTURES[mixture] as Readonly<Record<Kind, number>>;
    assert.is(
      Object.values(shares).reduce((sum, share) => sum + share, 0),
      100,
    );
    for (const [kind, share] of Object.entries(shares)) {
      const found = part.filter((document) => document.kind === kind).length / 100;
      // Four standard deviations of a binomial count.
      const tolerance = 4 * Math.sqrt((share * (100 - share)) / 10_000);
      assert.ok(Math.abs(found - share) < tolerance, `${mixture}: ${kind} ${found} %, expected ${share} %`);
    }
  });
});

grammar('documents rarely repeat', () => {
  const target = texts.slice(10_000 * mixtures.indexOf('target'), 10_000 * (mixtures.indexOf('target') + 1));
  assert.ok(new Set(target).size > 0.98 * target.length, `${new Set(target).size} of ${target.length}`);
});

grammar('sentences look like sentences', () => {
  for (const line of texts.flatMap((text) => text.split('\n'))) {
    assert.match(line, /^["A-Z0-9].*[.!?"]$/);
    assert.not.match(line, / {2}|undefined|\{|\}|\. [a-z]| [,.!?]/);
    assert.is((line.match(/"/g) ?? []).length % 2, 0, line);
  }
});

grammar('articles and plurals agree', () => {
  for (const text of texts) {
    assert.not.match(text, /\ba [aeiou]/i);
    assert.not.match(text, /\ban [^aeiou]/i);
  }
  for (const [, count, noun] of matches(/\b(?:had|has|got|sold) (\d+) (?!more|and)(\w+)/g)) {
    const isPlural = /s$|leaves|knives/.test(noun!);
    assert.is(isPlural, count !== '1', `${count} ${noun}`);
  }
});

grammar('verbs agree with their subject', () => {
  for (const [, subject, verb] of matches(/Every \w+day (\w+(?: and \w+)?) (goes?) to/g)) {
    assert.is(verb, subject!.includes(' and ') ? 'go' : 'goes');
  }
  for (const [, , verb] of matches(/\b(She|He) (has|have)\b/g)) assert.is(verb, 'has');
  for (const [, subject, verb] of matches(/\b(They|[A-Z]\w+) (likes?) the \w+ more/g)) {
    assert.is(verb, subject === 'They' ? 'like' : 'likes');
  }
});

grammar('pronouns agree with the people of their paragraph', () => {
  const genders = new Map(PEOPLE.map(({ name, gender }) => [name, gender]));
  let alone = 0;
  for (const paragraph of paragraphs) {
    const here = new Set([...paragraph.matchAll(/[A-Z]\w+/g)].flatMap(([name]) => genders.get(name) ?? []));
    if (here.size !== 1) continue;
    alone += 1;
    const wrong = here.has('f') ? /\b(he|him|his|himself|boy)\b/i : /\b(she|her|hers|herself|girl)\b/i;
    assert.not.match(paragraph, wrong);
  }
  assert.ok(alone > 5000);
  for (const [, hero, , pronoun] of matches(/\b(\w+) had (\d+) \w+\. \w+ gave (her|him) \d+ more/g)) {
    assert.is(pronoun, genders.get(hero!) === 'f' ? 'her' : 'him');
  }
  for (const [, owner, pronoun] of matches(/^(\w+) had an? .*?, (she|he) put it/g, paragraphs)) {
    assert.is(pronoun, genders.get(owner!) === 'f' ? 'she' : 'he');
  }
});

grammar('equations and comparisons are true', () => {
  for (const [, x, sign, y, z] of matches(/(\d+) ([+-]) (\d+) = (\d+)\./g)) {
    assert.is(sign === '+' ? Number(x) + Number(y) : Number(x) - Number(y), Number(z));
    assert.ok(Math.max(Number(x), Number(y), Number(z)) <= LARGEST_NUMBER);
  }
  for (const [, x, word, y] of matches(/(\d+) is (more|less) than (\d+)/g)) {
    assert.is(word === 'more', Number(x) > Number(y));
    assert.is.not(x, y);
  }
  for (const [, x, y, z] of matches(/take (\d+) from (\d+), you get (\d+)/g)) {
    assert.is(Number(y) - Number(x), Number(z));
  }
});

grammar('tales count right, within the limits', () => {
  const tales = paragraphs.map(replayTale).filter((tale) => tale !== undefined);
  assert.ok(tales.length > 1000);
  for (const { start, end, changes } of tales) {
    assert.ok(changes >= 1 && changes <= 3);
    assert.ok(Math.min(start, end) >= 0 && Math.max(start, end) <= LARGEST_NUMBER);
  }
  assert.is(new Set(tales.map(({ end }) => end)).size, LARGEST_NUMBER + 1);
});

grammar('people who count together add up', () => {
  const pattern = /([A-Z][^.]*)\. Together they have (\d+) \w+\. (\w+) has (\d+) more than (\w+)\./g;
  for (const [, have, sum, richest, difference, poorest] of matches(pattern, paragraphs)) {
    const numbers = new Map(
      [...have!.matchAll(/(\w+) has (\d+)/g)].map(([, who, count]) => [who!, Number(count)]),
    );
    const counts = [...numbers.values()];
    assert.is(
      counts.reduce((total, count) => total + count, 0),
      Number(sum),
    );
    assert.is(numbers.get(richest!), Math.max(...counts));
    assert.is(numbers.get(poorest!), Math.min(...counts));
    assert.is(Math.max(...counts) - Math.min(...counts), Number(difference));
  }
});

grammar('things stay where they were put', () => {
  const pattern =
    /put it ([^.]*?) and went to.*came back and looked ([^.]*)\..* found the \w+ (\w+) ([^.]*)\.$/g;
  for (const [paragraph, first, looked, thing, last] of matches(pattern, paragraphs)) {
    assert.is(looked, first);
    const moved = new RegExp(`took the ${thing} and put it ([^.]*)\\.|taken by \\w+ and put ([^.]*)\\.`).exec(
      paragraph,
    );
    assert.is(last, moved ? (moved[1] ?? moved[2]) : first);
  }
});

grammar('what was liked is what is taken', () => {
  const pattern = /(\w+) liked (\w+), but (\w+) liked (\w+) more\.(.*)/g;
  for (const [, first, liked, second, other, rest] of matches(pattern, paragraphs)) {
    const likes = new Map([
      [first, liked],
      [second, other],
    ]);
    const taken = [...rest!.matchAll(/(\w+) (?:took|drank|got|was glad to get) the (\w+)/g)];
    assert.ok(taken.length > 0);
    for (const [, who, drink] of taken) assert.is(drink, likes.get(who));
  }
});

grammar('the last comes first when things are taken out backwards', () => {
  const pattern = /packed ([^.]*)\. .*?(the last thing first|in the same order): ([^.]*)\./g;
  for (const [, packed, order, unpacked] of matches(pattern, paragraphs)) {
    const expected = order === 'in the same order' ? itemsOf(packed!) : itemsOf(packed!).reverse();
    assert.equal(itemsOf(unpacked!), expected);
  }
});

grammar('days follow each other', () => {
  const pattern =
    /Today is (\w+), and in (\d) days .* Yesterday was (\w+), and tomorrow will be (\w+)\. .* on (\w+)\.$/g;
  for (const [, today, days, yesterday, tomorrow, then] of matches(pattern, paragraphs)) {
    const day = (offset: number) => DAYS[(DAYS.indexOf(today!) + offset + 7) % 7];
    assert.equal([yesterday, tomorrow, then], [day(-1), day(1), day(Number(days))]);
  }
});

grammar('the superlatives follow from the pairs', () => {
  const told = paragraphs.filter((text) => /So \w+ is the \w+est and/.test(text));
  assert.ok(told.length > 100);
  for (const paragraph of told) {
    const [, first, last] = /So (\w+) is the \w+ and (\w+) is the/.exec(paragraph)!;
    const order = replayOrder(paragraph)!;
    assert.equal([order[0], order.at(-1)], [first, last]);
  }
});

grammar('the world is the same in every document', () => {
  const facts = new Map(PEOPLE.map((person) => [person.name, factsOf(person)]));
  for (const [, who, town] of matches(/(\w+) lives in ([A-Z]\w+)/g)) assert.is(town, facts.get(who!)!.town);
  for (const [, who, workplace] of matches(/So (\w+) works ([^.]*)\./g)) {
    assert.is(workplace, facts.get(who!)!.trade.workplace);
  }
  for (const [, who, month] of matches(/(\w+) was born in (\w+)/g)) assert.is(month, facts.get(who!)!.month);
  for (const { groups, answer } of questions(
    /^(?:Where does|What is) ([A-Z]\w+)(?: live|'s job|'s favourite)/,
  )) {
    const { town, trade, colour } = facts.get(groups[1]!)!;
    assert.ok(
      [town, trade.name, colour].some((fact) => answer.endsWith(fact)),
      `${groups[0]} ${answer}`,
    );
  }
  const animals = new Map<string, Animal>(ANIMALS.map((animal) => [animal.one, animal]));
  for (const { groups, answer } of questions(/^What does an? (\w+) say/)) {
    assert.is(answer, animals.get(groups[1]!)!.sound);
  }
  for (const { groups, answer } of questions(/^Where does an? (\w+) live/)) {
    assert.is(answer, `in ${animals.get(groups[1]!)!.home}`);
  }
  for (const { groups, answer } of questions(/^How many legs does an? (\w+) have/)) {
    assert.is(answer, `${animals.get(groups[1]!)!.legs} legs`);
  }
});

grammar('counting questions have the right answers', () => {
  const pattern = /^How many (\w+) did (\w+) have at (first|the end)\?/;
  for (const { groups, answer, text } of questions(pattern)) {
    const [, , who, when] = groups;
    const tale = paragraphsOf(text)
      .map(replayTale)
      .find((candidate) => candidate?.hero === who)!;
    assert.is(Number(answer), when === 'first' ? tale.start : tale.end, text);
  }
});

grammar('ordering questions have the right answers', () => {
  for (const { groups, answer, text } of questions(
    /^Who is the (tall|old|fast|strong|short|young|slow|weak)est/,
  )) {
    const order = paragraphsOf(text)
      .filter((paragraph) => paragraph.includes(`is the ${groups[1]}est`))
      .map((paragraph) => replayOrder(paragraph)!);
    const isMost = ['tall', 'old', 'fast', 'strong'].includes(groups[1]!);
    assert.ok(
      order.every((people) => (isMost ? people[0] : people.at(-1)) === answer),
      text,
    );
  }
});

grammar('other answers can be found in the text above them', () => {
  // Numbers and reasons are deduced; what is true of the world is asked whether it was said or not.
  const deduced =
    /^(How many|Why|What does an? \w+ say|Where does .* live|What is (the name of )?[A-Z]\w+'s)/;
  const copied = asked.filter(({ ask }) => !deduced.test(ask));
  assert.ok(copied.length > 1000);
  for (const { ask, answer, text } of copied) {
    const story = paragraphsOf(text).join(' ').toLowerCase();
    for (const word of answer.toLowerCase().split(' ')) {
      assert.ok(story.includes(word), `${ask} ${answer}: ${text}`);
    }
  }
});

grammar('no question is asked twice in a document', () => {
  for (const text of texts) {
    const asks = questionsOf(text).map(({ ask }) => ask);
    assert.is(new Set(asks).size, asks.length);
  }
});

grammar.run();
