/** Reads generated stories back, knowing nothing of how they were made, to check what they claim. */

const NUMBER = String.raw`(\d+|no)`;
const numberOf = (digits: string): number => (digits === 'no' ? 0 : Number(digits));

/** Sentences of a tale that change or state how many things its hero has; `{hero}` is the name or a pronoun. */
const CHANGES: readonly [pattern: string, sign: number][] = [
  [String.raw`\w+ gave (?:her|him) (\d+) more\.`, 1],
  [String.raw`(?:She|He) found (\d+) more at`, 1],
  [String.raw`{hero} bought (\d+) more on`, 1],
  [String.raw`Then (?:she|he) got (\d+) \w+ from`, 1],
  [String.raw`(?:She|He) gave (\d+) to`, -1],
  [String.raw`{hero} lost (\d+) on the way`, -1],
  [String.raw`\w+ took (\d+) of them\.`, -1],
  [String.raw`Then (?:she|he) sold (\d+) \w+ to`, -1],
];

export interface Tale {
  readonly hero: string;
  readonly noun: string;
  readonly start: number;
  readonly end: number;
  readonly changes: number;
}

/** Counts along; undefined for a paragraph that is no tale. @throws Error where the text miscounts */
export function replayTale(paragraph: string): Tale | undefined {
  const opening = /^(\w+) had (\d+) (\w+)\. /.exec(paragraph);
  if (!opening) return undefined;
  const [, hero, first, noun] = opening as unknown as [string, string, string, string];
  let count = Number(first);
  let changes = 0;
  const steps = CHANGES.map(
    ([pattern, sign]) => [new RegExp(pattern.replace('{hero}', hero)), sign] as const,
  );
  const stated = new RegExp(`^(?:That (?:made|left)|Now (?:\\w+) had|(?:She|He) had) ${NUMBER}\\b`);
  for (const sentence of paragraph.slice(opening[0].length).split(/(?<=\.) /)) {
    const claim = stated.exec(sentence);
    const change = steps.find(([pattern]) => pattern.test(sentence));
    if (claim) {
      if (numberOf(claim[1]!) !== count)
        throw new Error(`${count} expected in "${sentence}" of "${paragraph}"`);
    } else if (change) {
      count += change[1] * Number(change[0].exec(sentence)![1]);
      changes += 1;
    } else throw new Error(`"${sentence}" in "${paragraph}" is no change that is known`);
  }
  return { hero, noun, start: Number(first), end: count, changes };
}

/** People from the one with the most of a quality to the one with the least, as the pairs imply. */
export function replayOrder(paragraph: string): string[] | undefined {
  const pairs = [...paragraph.matchAll(/(\w+) is (\w+) than (\w+)\./g)].map(([, left, word, right]) =>
    /^(taller|older|faster|stronger)$/.test(word!) ? [left!, right!] : [right!, left!],
  );
  const below = new Map(pairs as [string, string][]);
  const lower = new Set(below.values());
  const first = [...below.keys()].find((name) => !lower.has(name));
  if (first === undefined) return undefined;
  const order = [first];
  for (let next = below.get(first); next !== undefined; next = below.get(next)) order.push(next);
  return order;
}

/** `a, b and c` -> [a, b, c] */
export const itemsOf = (list: string): string[] => list.split(/, | and /);

/** Questions and answers at the end of a document. */
export const questionsOf = (text: string): { ask: string; answer: string }[] =>
  [...text.matchAll(/^Question: (.*)\nAnswer: (.*)\.$/gm)].map(([, ask, answer]) => ({
    ask: ask!,
    answer: answer!,
  }));

/** The document without them. */
export const paragraphsOf = (text: string): string[] =>
  text.split('\n').filter((line) => !/^(Question|Answer): /.test(line));
