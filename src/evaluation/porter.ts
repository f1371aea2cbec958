/**
 * Porter's stemmer as NLTK has it (its mode NLTK_EXTENSIONS), which is what google's rouge-score stems with. It differs
 * from the published algorithm, and so from the packages that hold to that: irregular words, `ies` and `ied` of four
 * letters, y after a consonant alone, and in step 2 `alli` first, `bli`, `fulli` and `logi`.
 */

/** What a suffix becomes where its stem has more VCs than `above`. */
type Rule = readonly [suffix: string, replacement: string, above: number];

const IRREGULAR = new Map([
  ['sky', 'sky'],
  ['skies', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['news', 'news'],
  ['innings', 'inning'],
  ['inning', 'inning'],
  ['outings', 'outing'],
  ['outing', 'outing'],
  ['cannings', 'canning'],
  ['canning', 'canning'],
  ['howe', 'howe'],
  ['proceed', 'proceed'],
  ['exceed', 'exceed'],
  ['succeed', 'succeed'],
]);

/** `suffix=replacement`, words with spaces between them. */
const rules = (list: string, above: number): readonly Rule[] =>
  list.split(' ').map((rule) => {
    const [suffix, replacement = ''] = rule.split('=');
    return [suffix!, replacement, above];
  });

const STEP_1A = rules('sses=ss ies=i ss=ss s', -1);
const STEP_2 = rules(
  'ational=ate tional=tion enci=ence anci=ance izer=ize bli=ble alli=al entli=ent eli=e ousli=ous ization=ize ' +
    'ation=ate ator=ate alism=al iveness=ive fulness=ful ousness=ous aliti=al iviti=ive biliti=ble fulli=ful',
  0,
);
const STEP_3 = rules('icate=ic ative alize=al iciti=ic ical=ic ful ness', 0);
const STEP_4 = rules('al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize', 1);

/** The stem of a word in lower case. */
export function stem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  const steps = [
    step1a,
    step1b,
    step1c,
    step2,
    (text: string) => replaced(text, STEP_3),
    step4,
    step5a,
    step5b,
  ];
  return steps.reduce((text, step) => step(text), word);
}

const cut = (word: string, letters: number): string => word.slice(0, word.length - letters);

/** By the first rule whose suffix a word has; as it is where the stem is too short for that rule. */
function replaced(word: string, list: readonly Rule[]): string {
  const rule = list.find(([suffix]) => word.endsWith(suffix));
  if (!rule) return word;
  const [suffix, replacement, above] = rule;
  const rest = cut(word, suffix.length);
  return measure(rest) > above ? rest + replacement : word;
}

const step1a = (word: string): string =>
  word.length === 4 && word.endsWith('ies') ? cut(word, 1) : replaced(word, STEP_1A);

function step1b(word: string): string {
  if (word.endsWith('ied')) return cut(word, word.length === 4 ? 1 : 2);
  if (word.endsWith('eed')) return measure(cut(word, 3)) > 0 ? cut(word, 1) : word;
  const suffix = ['ed', 'ing'].find((end) => word.endsWith(end) && hasVowel(cut(word, end.length)));
  if (suffix === undefined) return word;
  const rest = cut(word, suffix.length);
  if (['at', 'bl', 'iz'].some((end) => rest.endsWith(end))) return `${rest}e`;
  if (endsDouble(rest)) return /[lsz]$/.test(rest) ? rest : cut(rest, 1);
  return measure(rest) === 1 && endsShort(rest) ? `${rest}e` : rest;
}

function step1c(word: string): string {
  const rest = cut(word, 1);
  return word.endsWith('y') && rest.length > 1 && consonants(rest).at(-1) ? `${rest}i` : word;
}

function step2(word: string): string {
  if (word.endsWith('alli') && measure(cut(word, 4)) > 0) return step2(cut(word, 2));
  // The l counts as part of the stem: "geo" alone would be too short.
  if (word.endsWith('logi')) return measure(cut(word, 3)) > 0 ? cut(word, 1) : word;
  return replaced(word, STEP_2);
}

const step4 = (word: string): string =>
  word.endsWith('ion') && !/[st]ion$/.test(word) ? word : replaced(word, STEP_4);

function step5a(word: string): string {
  if (!word.endsWith('e')) return word;
  const rest = cut(word, 1);
  const count = measure(rest);
  return count > 1 || (count === 1 && !endsShort(rest)) ? rest : word;
}

const step5b = (word: string): string =>
  word.endsWith('ll') && measure(cut(word, 1)) > 1 ? cut(word, 1) : word;

/** [letters] which are consonants: y is one unless it follows one. Digits count as consonants. */
function consonants(word: string): readonly boolean[] {
  const flags: boolean[] = [];
  for (const letter of word) flags.push(letter === 'y' ? !flags.at(-1) : !'aeiou'.includes(letter));
  return flags;
}

/** How often a consonant follows a vowel: m of [C](VC){m}[V]. */
function measure(word: string): number {
  const flags = consonants(word);
  return flags.filter((isConsonant, i) => isConsonant && i > 0 && !flags[i - 1]).length;
}

const hasVowel = (word: string): boolean => consonants(word).includes(false);

const endsDouble = (word: string): boolean =>
  word.length >= 2 && word.at(-1) === word.at(-2) && consonants(word).at(-1) === true;

/** Consonant, vowel and a consonant but w, x or y; or no more than a vowel and a consonant. */
function endsShort(word: string): boolean {
  const [first, second, third] = consonants(word).slice(-3);
  if (word.length === 2) return first === false && second === true;
  return first === true && second === false && third === true && !/[wxy]$/.test(word);
}
