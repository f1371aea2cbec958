import fc from 'fast-check';

const white = [
  ' ',
  '  ',
  '\t',
  '\n',
  '\r\n',
  '\n\n',
  ' \n ',
  '\r',
  '\v',
  '\f',
  '\u00a0',
  '\u0085',
  '\u1680',
  '\u2003',
];
const whiteAndAlmost = [
  '\u2028',
  '\u2029',
  '\u202f',
  '\u3000',
  '\ufeff',
  '\u200b',
  '\u200c',
  '\u200d',
  '\u180e',
  '\u2060',
];
const meta = ['▁', '▁▁', ' ▁', '▁ ', 'a▁b', '\u2580', '\u2582', '“', '”', 'Ġ', 'Ċ', 'Ā'];
const special = [
  ...['<s>', '</s>', '<unk>', '<s', '<<s>>', ' <s> ', '<0x0A>', '<0xFF>', '<pad>', '<mask>', 'word', '[X]'],
  ...[
    '<|endoftext|>',
    ' <|endoftext|>\n',
    '<|im_start|>user',
    '<|im_end|>',
    '<|im_',
    '<tool_call>',
    '<|begin_of_text|>',
  ],
];
const broken = [
  '\ud800',
  '\udc00',
  '\udc00\ud800',
  '\ud83d',
  '\ufffd',
  '\u{10ffff}',
  '\uffff',
  '\0',
  '\u0007',
  '\u007f',
  '\u009f',
];
const scripts = [
  '中文',
  '日本語',
  'ก็',
  'العربية',
  'हिन्दी',
  '한국어',
  '\u1100\u1161',
  '\u1100\u1161\u11a8',
  'Привет',
  'Ελληνικά',
  'ქართული',
  '𐐀𐐨',
  '𝒳',
];
const emoji = ['😀', '👨‍👩‍👧‍👦', '🇫🇷', '👍🏽', '✈️', '1️⃣'];
/** Characters that compose, fold or change under a normalization, also of another Unicode version. */
const marks = [
  ...[
    'é',
    'e\u0301',
    '\u0301',
    'e\u0323\u0301',
    'e\u0301\u0323',
    '\u0344',
    '\u212b',
    '\u2126',
    'ﬁ',
    'İ',
    'ı',
    'ß',
    'ẞ',
    'ſ',
    '\u212a',
  ],
  ...[
    'ΑΣ',
    'ΑΣ Σ',
    '①',
    '²',
    '½',
    '\u0958',
    '\u09c7\u09be',
    '\u0897',
    'a\u1acf\u0301',
    '\u{10ec2}',
    '\u{11938}',
    '\u{16d68}',
    '\u{1df95}',
  ],
];
const numbers = ['0', '123', '1234567', '３４', '٣٤', 'Ⅷ', '\u{1d7d8}', '\u{11de1}', '3.14', '1,000'];
const words = [
  ...[
    'a',
    'b',
    'c',
    'ab',
    'aaaa',
    'abab',
    'The',
    'the',
    ' the',
    'hello world',
    'Once upon a time',
    "don't",
    "I'LL",
    "'s",
    "'S",
    "'ſ",
    "'re",
    "'VE",
    "'d'm",
  ],
  ...['…', '!!!', '--', '/*', 'f(x)={};', '\\n', '"quoted"', '#$%', '===='],
];

const fragment = fc.constantFrom(
  ...[
    ...white,
    ...whiteAndAlmost,
    ...meta,
    ...special,
    ...broken,
    ...scripts,
    ...emoji,
    ...marks,
    ...numbers,
    ...words,
  ],
);

/** Strings that tokenizers stumble over. */
export const nastyText = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fragment },
      { weight: 1, arbitrary: fc.nat({ max: 0xffff }).map((unit) => String.fromCharCode(unit)) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
      { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fragment, fc.integer({ min: 2, max: 70 }))
          .map(([text, times]) => text.repeat(times)),
      },
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** The same without what UTF-8 cannot hold. */
export const validText = nastyText.map((text) => text.replace(/\p{Surrogate}/gu, ''));
