/**
 * Makes src/data/tokenizer/unicodeData.ts: what the Hugging Face library takes each character for, asked from the
 * library itself (the npm package `tokenizers`), since its Unicode versions are not Node's.
 * `node build/tests/data/makeUnicodeData.js > src/data/tokenizer/unicodeData.ts`
 */
import { Tokenizer } from 'tokenizers';

const CODE_POINTS = 0x110000;
const characters = Array.from({ length: CODE_POINTS }, (_, code) => code).filter(
  (c) => c < 0xd800 || c > 0xdfff,
);

const CATEGORIES = [
  ...[
    'Lu',
    'Ll',
    'Lt',
    'Lm',
    'Lo',
    'Mn',
    'Mc',
    'Me',
    'Nd',
    'Nl',
    'No',
    'Pc',
    'Pd',
    'Ps',
    'Pe',
    'Pi',
    'Pf',
    'Po',
  ],
  ...['Sm', 'Sc', 'Sk', 'So', 'Zs', 'Zl', 'Zp', 'Cc', 'Cf', 'Co', 'Cn'],
];
/** What stands for each of them in the file. */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$';

function libraryWith(parts: object): Tokenizer {
  const model = { type: 'BPE', vocab: {}, merges: [] };
  return Tokenizer.fromString(JSON.stringify({ version: '1.0', added_tokens: [], model, ...parts }));
}

const CHUNK = 20_000;

/** Each character between two letters "a", and what a pre-tokenizer makes of them. */
function* piecesAround(preTokenizer: object): Generator<string> {
  const splitter = libraryWith({ pre_tokenizer: preTokenizer }).getPreTokenizer()!;
  for (let i = 0; i < characters.length; i += CHUNK) {
    const texts = characters.slice(i, i + CHUNK).map((code) => `a${String.fromCodePoint(code)}a`);
    for (const [piece] of splitter.preTokenizeString(texts.join('\n'))) yield piece;
  }
}

/** What the Digits pre-tokenizer takes for a digit. */
export function digits(): Set<number> {
  const found = new Set<number>();
  for (const piece of piecesAround({ type: 'Digits', individual_digits: true })) {
    if (!piece.includes('a')) found.add(piece.codePointAt(0)!);
  }
  return found;
}

/** What the Whitespace pre-tokenizer and single_word take for a part of a word. */
export function wordCharacters(): Set<number> {
  const found = new Set<number>();
  for (const piece of piecesAround({ type: 'Whitespace' })) {
    if (/^a.+a$/s.test(piece)) found.add(piece.codePointAt(1)!);
  }
  return found;
}

/** The characters that a regular expression for one character matches. */
export function matching(regex: string): Set<number> {
  const splitter = libraryWith({
    pre_tokenizer: { type: 'Split', pattern: { Regex: `(?:${regex})+` }, behavior: 'Removed', invert: true },
  }).getPreTokenizer()!;
  const found = new Set<number>();
  for (let i = 0; i < characters.length; i += CHUNK) {
    const text = String.fromCodePoint(...characters.slice(i, i + CHUNK));
    for (const [piece] of splitter.preTokenizeString(text)) {
      for (const character of piece) found.add(character.codePointAt(0)!);
    }
  }
  return found;
}

/** Characters that `normalize` of this Node knows and the library, whose version is older, does not. */
export function inert(): Set<number> {
  const found = new Set<number>();
  for (const form of ['NFC', 'NFKC'] as const) {
    const normalizer = libraryWith({ normalizer: { type: form } }).getNormalizer()!;
    for (const code of characters) {
      const character = String.fromCodePoint(code);
      const texts = [character, `${character}\u0334`, `\u0345${character}`];
      if (texts.some((text) => normalizer.normalizeString(text) !== text.normalize(form))) found.add(code);
    }
  }
  return found;
}

/** A set as its ranges: the gap since the last one and the length, in base 36; a length of 1 is left out. */
function ranges(set: ReadonlySet<number>): string {
  const parts: string[] = [];
  let done = 0;
  for (let code = 0; code < CODE_POINTS; code++) {
    if (!set.has(code)) continue;
    const start = code;
    while (set.has(code)) code++;
    const length = code - start;
    parts.push((start - done).toString(36) + (length === 1 ? '' : `,${length.toString(36)}`));
    done = code;
  }
  return parts.join(' ');
}

/** Runs of equal categories: the letter and the length in base 36, without a length of 1. */
function categoryRuns(): string {
  const letterOf = new Array<string>(CODE_POINTS).fill(LETTERS[CATEGORIES.indexOf('Cn')]!);
  CATEGORIES.forEach((category, i) => {
    for (const code of matching(`\\p{${category}}`)) letterOf[code] = LETTERS[i]!;
  });
  return letterOf.join('').replace(/(.)\1*/g, (run, letter) => {
    return run.length === 1 ? letter : letter + run.length.toString(36);
  });
}

function constant(name: string, comment: string, text: string): string {
  const lines = text.match(/.{1,100}/g)!.map((line) => `  '${line}'`);
  return `/** ${comment} */\nexport const ${name} =\n${lines.join(' +\n')};\n`;
}

function main(): void {
  const numbers = matching('\\p{N}');
  const moreDigits = new Set([...digits()].filter((code) => !numbers.has(code)));
  console.log(
    [
      '/** Made by tests/data/makeUnicodeData.ts from the Hugging Face library; unicode.ts says what is in it. */\n',
      constant('CATEGORY_NAMES', 'In the order of CATEGORY_LETTERS.', CATEGORIES.join(' ')),
      constant('CATEGORY_LETTERS', 'What stands for a category.', LETTERS),
      constant('CATEGORY_RUNS', 'The general category of each code point.', categoryRuns()),
      constant('MORE_DIGITS', 'What Digits takes beside \\\\p{N}.', ranges(moreDigits)),
      constant('WORD', 'Parts of a word.', ranges(wordCharacters())),
      constant('INERT', 'Assigned characters that no normalization touches.', ranges(inert())),
    ]
      .join('\n')
      .trimEnd(),
  );
}

if (process.argv[1]?.endsWith('makeUnicodeData.js')) main();
