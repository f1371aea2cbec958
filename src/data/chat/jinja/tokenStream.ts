import { TemplateError } from './errors.js';
import type { Token } from './lexer.js';

/** Tokens, one after the other. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!;
  }

  next(): Token {
    const { current } = this;
    if (current.type !== 'eof') this.#at++;
    return current;
  }

  isName(...names: readonly string[]): boolean {
    return this.current.type === 'name' && names.includes(this.current.value);
  }

  isOperator(...signs: readonly string[]): boolean {
    return this.current.type === 'operator' && signs.includes(this.current.value);
  }

  skipName(name: string): boolean {
    const isThere = this.isName(name);
    if (isThere) this.next();
    return isThere;
  }

  skipOperator(sign: string): boolean {
    const isThere = this.isOperator(sign);
    if (isThere) this.next();
    return isThere;
  }

  expect(type: Token['type'], value?: string): Token {
    const { current } = this;
    if (current.type === type && (value === undefined || current.value === value)) return this.next();
    throw this.error(`expected token '${value ?? type}', got '${describe(current)}'`);
  }

  error(message: string, token: Token = this.current): TemplateError {
    return new TemplateError(`${message} in line ${token.line}`);
  }
}

export const describe = ({ type, value }: Token): string => {
  if (type === 'eof') return 'end of template';
  return value === '' ? type : value;
};
