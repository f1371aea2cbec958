import { excerpt, InputError } from '../../base/errors.js';
import { categoryRanges, classSource, complement, escapedClass } from './unicode.js';

/**
 * Turns a regular expression of Oniguruma, which the Hugging Face library uses, into JavaScript's. General categories,
 * \s, \d and \w become the library's own sets; scripts and other properties are those of this Node.
 * @param where path and field, for messages
 * @throws InputError naming what has no translation
 */
export function toRegExp(source: string, where: string): RegExp {
  try {
    return new RegExp(new Translation(source).whole(), 'gu');
  } catch (error) {
    if (!(error instanceof Unsupported || error instanceof SyntaxError)) throw error;
    throw new InputError(
      `${where}: expected a supported regular expression, found ${excerpt(source)}: ${error.message}`,
    );
  }
}

/** All matches as [start, end), by the library's rule for empty ones: none right behind a match, none in "". */
export function* findMatches(regex: RegExp, text: string): Generator<readonly [start: number, end: number]> {
  if (text === '') return;
  let last = -1;
  regex.lastIndex = 0;
  for (let match = regex.exec(text); match !== null; match = regex.exec(text)) {
    const start = match.index;
    const end = start + match[0].length;
    if (start < end || end !== last) yield [start, end];
    const isRepeated = start === end && end === last;
    last = end;
    regex.lastIndex = isRepeated ? end + (text.codePointAt(end)! > 0xffff ? 2 : 1) : end;
  }
}

class Unsupported extends Error {
  constructor(what: string) {
    super(`${what} is not supported`);
  }
}

/** Two letters that Oniguruma also finds in one character when it ignores case, such as "ss" in "ß". */
const JOINED_WHEN_FOLDED = /ss|st|ff|fi|fl/;

/** Characters beyond ASCII that are a letter in another case. */
const FOLDED: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };

const CONTROL: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  f: '\f',
  v: '\v',
  a: '\x07',
  e: '\x1b',
};

/** What a class escape or a character is, inside or outside of brackets. */
type Item = { readonly char: string } | { readonly set: string };

/** One pass over the source, by recursive descent. */
class Translation {
  private readonly source: string;
  private at = 0;
  private atomic = 0;
  private ignoreCase = false;

  constructor(source: string) {
    this.source = source;
  }

  whole(): string {
    const result = this.alternatives();
    if (this.at < this.source.length) throw new Unsupported('")" without "("');
    return result;
  }

  private alternatives(): string {
    const branches = [this.sequence()];
    while (this.take('|')) branches.push(this.sequence());
    return branches.join('|');
  }

  private sequence(): string {
    let result = '';
    let letters = '';
    while (this.at < this.source.length && !/[|)]/.test(this.source[this.at]!)) {
      const start = this.at;
      const atom = this.atom();
      const text = this.source.slice(start, this.at);
      letters = /^[A-Za-z]$/.test(text) ? letters + text.toLowerCase() : '';
      if (this.ignoreCase && JOINED_WHEN_FOLDED.test(letters)) {
        throw new Unsupported(`${excerpt(letters.slice(-2))} without regard to case`);
      }
      result += this.quantified(atom);
    }
    return result;
  }

  private quantified(atom: string): string {
    const [quantifier] = /^(?:[*+?]|\{\d*,\d+\}|\{\d+,?\})/.exec(this.source.slice(this.at)) ?? [];
    if (quantifier === undefined) return atom;
    this.at += quantifier.length;
    const repeated = atom + quantifier.replace('{,', '{0,');
    const suffix = this.source[this.at] ?? '';
    if (!'*+?{'.includes(suffix) || suffix === '') return repeated;
    if (quantifier.startsWith('{') || !'+?'.includes(suffix)) throw new Unsupported(quantifier + suffix);
    this.at++;
    return suffix === '?' ? `${repeated}?` : this.possessive(repeated);
  }

  /** JavaScript does not go back into a lookahead; the text is then taken by reference. */
  private possessive(source: string): string {
    const name = `atomic${this.atomic++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  private atom(): string {
    const char = this.next();
    if (char === '(') return this.group();
    if (char === '[') return this.bracket();
    if (char === '.') return '[^\\n]';
    if (char === '^' || char === '$') throw new Unsupported(char);
    if ('*+?'.includes(char)) throw new Unsupported(`${char} without something to repeat`);
    const item = char === '\\' ? this.escape() : { char };
    return 'set' in item ? `[${item.set}]` : this.literal(item.char);
  }

  private group(): string {
    const [opening] = /^\?(?:[:=!>]|<[=!]|<\w+>|i:)/.exec(this.source.slice(this.at)) ?? [];
    if (opening === undefined && this.source[this.at] === '?') {
      throw new Unsupported(`(${this.source.slice(this.at, this.at + 3)}`);
    }
    this.at += opening?.length ?? 0;
    const before = this.ignoreCase;
    if (opening === '?i:') this.ignoreCase = true;
    const inside = this.alternatives();
    this.ignoreCase = before;
    if (!this.take(')')) throw new Unsupported('"(" without ")"');
    if (opening === '?>') return this.possessive(inside);
    return /^\?<?[=!]$/.test(opening ?? '') ? `(${opening}${inside})` : `(?:${inside})`;
  }

  private bracket(): string {
    const negated = this.take('^') ? '^' : '';
    if (this.source[this.at] === ']') throw new Unsupported('a class that begins with "]"');
    let inside = '';
    while (!this.take(']')) inside += this.member();
    return `[${negated}${inside}]`;
  }

  /** One item of a class, or a range of characters. */
  private member(): string {
    const item = this.memberItem();
    if ('set' in item) {
      if (this.source[this.at] === '-' && this.source[this.at + 1] !== ']')
        throw new Unsupported('a range that begins with a class');
      return item.set;
    }
    if (this.source[this.at] !== '-' || this.source[this.at + 1] === ']') return this.folded([item.char]);
    this.at++;
    const end = this.memberItem();
    if ('set' in end) throw new Unsupported('a range that ends with a class');
    const [from, to] = [item.char.codePointAt(0)!, end.char.codePointAt(0)!];
    if (!this.ignoreCase) return classSource([[from, to + 1]]);
    if (to > 0x7f) throw new Unsupported('a range beyond ASCII without regard to case');
    return this.folded(Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i)));
  }

  private memberItem(): Item {
    const char = this.next();
    if (char === '[') throw new Unsupported('a class in a class');
    if (char === '&' && this.source[this.at] === '&') throw new Unsupported('&&');
    return char === '\\' ? this.escape() : { char };
  }

  /** What follows a backslash. */
  private escape(): Item {
    const letter = this.next();
    const control = CONTROL[letter];
    if (control !== undefined) return { char: control };
    if (letter === 'p' || letter === 'P') return { set: this.property(letter === 'P') };
    const ranges = escapedClass(letter.toLowerCase());
    if (ranges !== undefined) {
      return { set: classSource(letter === letter.toLowerCase() ? ranges : complement(ranges)) };
    }
    if (letter === 'x' || letter === 'u') return { char: this.codePoint(letter) };
    if (/[A-Za-z0-9]/.test(letter)) throw new Unsupported(`\\${letter}`);
    return { char: letter };
  }

  private codePoint(letter: string): string {
    const pattern = letter === 'u' ? /^[0-9A-Fa-f]{4}/ : /^(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})/;
    const [digits] = pattern.exec(this.source.slice(this.at)) ?? [];
    const code = Number.parseInt(digits?.replace('{', '') ?? '', 16);
    // In Oniguruma \x80 to \xff are single bytes of UTF-8.
    const isByte = letter === 'x' && digits?.length === 2 && code > 0x7f;
    if (digits === undefined || isByte || code > 0x10ffff)
      throw new Unsupported(`\\${letter}${digits ?? ''}`);
    this.at += digits.length;
    return String.fromCodePoint(code);
  }

  /** The inside of a class for \p{NAME}, \p{^NAME} or \P{NAME}. */
  private property(negated: boolean): string {
    const [text, caret, name = ''] = /^\{(\^?)(\w+)\}/.exec(this.source.slice(this.at)) ?? [];
    if (text === undefined) throw new Unsupported('\\p without {NAME}');
    if (this.ignoreCase) throw new Unsupported(`\\p{${name}} without regard to case`);
    this.at += text.length;
    const isNegated = negated !== (caret === '^');
    const ranges = categoryRanges(name);
    if (ranges.length > 0) return classSource(isNegated ? complement(ranges) : ranges);
    const property = [`Script=${name}`, name].find((known) => /^[A-Z]/.test(name) && isProperty(known));
    if (property === undefined) throw new Unsupported(`\\p{${name}}`);
    return `\\${isNegated ? 'P' : 'p'}{${property}}`;
  }

  /** One character outside of a class. */
  private literal(char: string): string {
    const inside = this.folded([char]);
    return /^[A-Za-z0-9]$/.test(inside) ? inside : `[${inside}]`;
  }

  /** Characters as the inside of a class; with all their cases where case is ignored. */
  private folded(chars: readonly string[]): string {
    const all = chars.flatMap((char) => {
      if (!this.ignoreCase) return [char];
      if (char > '\x7f') throw new Unsupported(`${excerpt(char)} without regard to case`);
      const lower = char.toLowerCase();
      return [...new Set([lower, char.toUpperCase(), FOLDED[lower] ?? lower])];
    });
    return all
      .map((char) => (/^[A-Za-z0-9]$/.test(char) ? char : `\\u{${char.codePointAt(0)!.toString(16)}}`))
      .join('');
  }

  private next(): string {
    if (this.at >= this.source.length) throw new Unsupported('an end within a class or an escape');
    const char = String.fromCodePoint(this.source.codePointAt(this.at)!);
    this.at += char.length;
    return char;
  }

  private take(char: string): boolean {
    const found = this.source[this.at] === char;
    if (found) this.at++;
    return found;
  }
}

function isProperty(name: string): boolean {
  try {
    return new RegExp(`\\p{${name}}`, 'u') !== undefined;
  } catch {
    return false;
  }
}
