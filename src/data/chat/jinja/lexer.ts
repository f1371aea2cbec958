import { notSupported, TemplateError } from './errors.js';
import { SPACE } from './unicode.js';

/** As jinja2/lexer.py, with trim_blocks and lstrip_blocks, without line statements. */
export interface Token {
  readonly type:
    | 'data'
    | 'block_begin'
    | 'block_end'
    | 'variable_begin'
    | 'variable_end'
    | 'name'
    | 'string'
    | 'integer'
    | 'float'
    | 'operator'
    | 'eof';
  /** Of strings the unescaped text, of numbers the digits, of operators the sign. */
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

const NEWLINE = /\r\n|\r|\n/g;
const ROOT = new RegExp(
  `\\{%(?<raw>[-+]?)[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})|(?<open>\\{#|\\{%|\\{\\{)(?<sign>[-+]?)`,
  'g',
);
const RAW_END = new RegExp(
  `\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`,
  'g',
);
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, 'g');
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`, 'y');
const VARIABLE_END = new RegExp(`-\\}\\}[${SPACE}]*|\\}\\}`, 'y');
const WHITE = new RegExp(`[${SPACE}]+`, 'y');
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}_]+/uy;
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;
const STRING = /'(?:[^'\\]*(?:\\.[^'\\]*)*)'|"(?:[^"\\]*(?:\\.[^"\\]*)*)"/sy;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const CLOSING: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' };

/** @throws TemplateError with the line */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #counted = 0;
  #line = 1;
  /** Whether what was read last ends a line. */
  #lineStarts = true;

  constructor(template: string) {
    const lines = template.split(NEWLINE);
    if (lines.at(-1) === '') lines.pop();
    this.#source = lines.join('\n');
  }

  run(): Token[] {
    while (this.#at < this.#source.length) this.#root();
    this.#push('eof', '');
    return this.#tokens;
  }

  #root(): void {
    const match = find(ROOT, this.#source, this.#at);
    if (!match) {
      this.#push('data', this.#source.slice(this.#at));
      this.#at = this.#source.length;
      return;
    }
    const { raw, open, sign } = match.groups as Record<string, string | undefined>;
    this.#data(match.index, (raw ?? sign)!, open === '{{');
    this.#moveTo(match.index + match[0].length);
    if (open === '{#') this.#comment();
    else if (open === '{%') this.#expression('block_begin', 'block_end', BLOCK_END);
    else if (open === '{{') this.#expression('variable_begin', 'variable_end', VARIABLE_END);
    else this.#raw();
  }

  /** The text up to a tag; the tag's sign and kind decide on the white space before it. */
  #data(end: number, sign: string, isVariable: boolean): void {
    let text = this.#source.slice(this.#at, end);
    if (sign === '-') text = text.replace(TRAILING, '');
    else if (sign !== '+' && !isVariable) {
      const lineStart = text.lastIndexOf('\n') + 1;
      const isAtLineStart = lineStart > 0 || this.#lineStarts;
      if (isAtLineStart && BLANK.test(text.slice(lineStart))) text = text.slice(0, lineStart);
    }
    this.#push('data', text);
  }

  #comment(): void {
    const end = find(COMMENT_END, this.#source, this.#at);
    if (!end) this.#unclosed('Missing end of comment tag');
    else this.#moveTo(end.index + end[0].length);
  }

  #raw(): void {
    const end = find(RAW_END, this.#source, this.#at);
    if (!end) {
      this.#unclosed('Missing end of raw directive');
      return;
    }
    this.#data(end.index, end[1]!, false);
    this.#moveTo(end.index + end[0].length);
  }

  /** Jinja2 misses the end only where something comes in its place. */
  #unclosed(message: string): void {
    if (this.#at < this.#source.length) throw this.#error(message);
  }

  #expression(begin: Token['type'], end: Token['type'], closing: RegExp): void {
    this.#push(begin, '');
    const brackets: string[] = [];
    for (;;) {
      const close = brackets.length === 0 ? this.#match(closing) : undefined;
      if (close !== undefined) {
        this.#push(end, '');
        this.#moveTo(this.#at + close.length);
        return;
      }
      if (this.#at >= this.#source.length) return;
      this.#part(brackets);
    }
  }

  /** A token inside of a tag. */
  #part(brackets: string[]): void {
    const white = this.#match(WHITE);
    if (white !== undefined) {
      this.#moveTo(this.#at + white.length);
      return;
    }
    for (const [type, pattern] of PARTS) {
      const text = this.#match(pattern);
      if (text === undefined) continue;
      if (type === 'operator') this.#balance(text, brackets);
      if (type === 'name' && !IDENTIFIER.test(text)) throw this.#error('Invalid character in identifier');
      this.#push(type, type === 'string' ? unescaped(text.slice(1, -1), () => this.#lineNumber()) : text);
      this.#moveTo(this.#at + text.length);
      return;
    }
    throw this.#error(`unexpected char '${String.fromCodePoint(this.#source.codePointAt(this.#at)!)}'`);
  }

  #balance(sign: string, brackets: string[]): void {
    if (CLOSING[sign]) brackets.push(CLOSING[sign]);
    else if (sign === '}' || sign === ')' || sign === ']') {
      const expected = brackets.pop();
      if (expected !== sign) {
        throw this.#error(`unexpected '${sign}'${expected === undefined ? '' : `, expected '${expected}'`}`);
      }
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0];
  }

  #moveTo(at: number): void {
    this.#at = at;
    this.#lineStarts = this.#source[at - 1] === '\n';
  }

  #push(type: Token['type'], value: string): void {
    if (type !== 'data' || value !== '') this.#tokens.push({ type, value, line: this.#lineNumber() });
  }

  #lineNumber(): number {
    for (; this.#counted < this.#at; this.#counted++) if (this.#source[this.#counted] === '\n') this.#line++;
    return this.#line;
  }

  #error(message: string): TemplateError {
    return new TemplateError(`${message} in line ${this.#lineNumber()}`);
  }
}

const TRAILING = new RegExp(`[${SPACE}]+$`);
const BLANK = new RegExp(`^[${SPACE}]+$`);

const PARTS = [
  ['float', FLOAT],
  ['integer', INTEGER],
  ['name', NAME],
  ['string', STRING],
  ['operator', OPERATOR],
] as const;

function find(pattern: RegExp, source: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(source);
}

const ESCAPE = /\\(?:\n|([0-7]{1,3})|(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))|(.))/gs;
const SINGLE: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** Python's "unicode-escape". */
function unescaped(text: string, line: () => number): string {
  if (!text.includes('\\')) return text;
  return text.replace(ESCAPE, (whole, octal, x, u, long, single) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    const hex = x ?? u ?? long;
    if (hex !== undefined) {
      const code = Number.parseInt(hex, 16);
      if (code > 0x10ffff) throw new TemplateError(`illegal Unicode character in line ${line()}`);
      return String.fromCodePoint(code);
    }
    if (single === 'N') throw notSupported('\\N{...} in a text');
    if (single === undefined) return '';
    if (single === 'x' || single === 'u' || single === 'U') {
      throw new TemplateError(`a text with \\${single} that is no character in line ${line()}`);
    }
    return SINGLE[single] ?? whole;
  });
}
