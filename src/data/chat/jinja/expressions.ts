import type { Arguments, BinaryOperator, Call, Comparison, Expression, Filter, Slice } from './nodes.js';
import { describe, type TokenStream } from './tokenStream.js';

/** Expressions, as jinja2/parser.py reads them: what binds weaker calls what binds stronger. */

const COMPARISONS: readonly string[] = ['==', '!=', '<', '<=', '>', '>='];
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ...(['true', 'True'] as const).map((name) => [name, true] as const),
  ...(['false', 'False'] as const).map((name) => [name, false] as const),
  ...(['none', 'None'] as const).map((name) => [name, null] as const),
]);

export const isConstantName = (name: string): boolean => CONSTANTS.has(name);

const MOST_LEVELS = 200;

export class ExpressionParser {
  protected readonly stream: TokenStream;
  #depth = 0;

  constructor(stream: TokenStream) {
    this.stream = stream;
  }

  expression(withCondition = true): Expression {
    return this.#nested(() => (withCondition ? this.#condition() : this.#or()));
  }

  #nested(read: () => Expression): Expression {
    if (++this.#depth > MOST_LEVELS) throw this.stream.error('too many levels of expressions in one another');
    const expression = read();
    this.#depth--;
    return expression;
  }

  /** An expression, or several with commas between them, which are a tuple. */
  tuple(options: { withCondition?: boolean; end?: string; isInBrackets?: boolean } = {}): Expression {
    const { withCondition = true, end, isInBrackets = false } = options;
    const items: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) this.stream.expect('operator', ',');
      if (this.isTupleEnd(end)) break;
      items.push(this.expression(withCondition));
      if (!this.stream.isOperator(',')) break;
      isTuple = true;
    }
    if (!isTuple && items.length > 0) return items[0]!;
    if (!isTuple && !isInBrackets) {
      throw this.stream.error(`Expected an expression, got '${describe(this.stream.current)}'`);
    }
    return { kind: 'tuple', items };
  }

  protected isTupleEnd(end: string | undefined): boolean {
    const { type } = this.stream.current;
    if (type === 'variable_end' || type === 'block_end' || this.stream.isOperator(')')) return true;
    return end !== undefined && this.stream.isName(end);
  }

  /** One filter or more in a row. @param first the word `filter` stood in place of the first bar */
  filters(operand: Expression | undefined, first = false): Filter | undefined {
    let node = operand as Filter | undefined;
    for (let inline = first; inline || this.stream.skipOperator('|'); inline = false) {
      const name = this.#dottedName();
      const given = this.stream.isOperator('(') ? this.#arguments() : NO_ARGUMENTS;
      node = { kind: 'filter', name, operand: node, ...given };
    }
    return node;
  }

  #condition(): Expression {
    let yes = this.#or();
    while (this.stream.skipName('if')) {
      const test = this.#or();
      const no = this.stream.skipName('else') ? this.#condition() : undefined;
      yes = { kind: 'condition', test, yes, no };
    }
    return yes;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.stream.skipName('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.stream.skipName('and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    if (this.stream.skipName('not')) return { kind: 'not', operand: this.#nested(() => this.#not()) };
    return this.#comparison();
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: [Comparison, Expression][] = [];
    for (;;) {
      if (this.stream.isOperator(...COMPARISONS)) {
        const sign = this.stream.next().value as Comparison;
        rest.push([sign, this.#sum()]);
      } else if (this.stream.skipName('in')) rest.push(['in', this.#sum()]);
      else if (this.stream.isName('not') && isWord(this.stream, 'in')) {
        this.stream.next();
        this.stream.next();
        rest.push(['notin', this.#sum()]);
      } else break;
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest };
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const parts = [this.#product()];
    while (this.stream.skipOperator('~')) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : { kind: 'concat', parts };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#binary(['**'], () => this.#unary(true)));
  }

  #binary(signs: readonly BinaryOperator[], operand: () => Expression): Expression {
    let left = operand();
    while (this.stream.isOperator(...signs)) {
      const operator = this.stream.next().value as BinaryOperator;
      left = { kind: 'binary', operator, left, right: operand() };
    }
    return left;
  }

  #unary(withFilters: boolean): Expression {
    let node: Expression;
    const operand = () => this.#nested(() => this.#unary(false));
    if (this.stream.skipOperator('-')) node = { kind: 'negative', operand: operand() };
    else if (this.stream.skipOperator('+')) node = { kind: 'positive', operand: operand() };
    else node = this.primary();
    node = this.#postfix(node);
    return withFilters ? this.#filtersAndTests(node) : node;
  }

  protected primary(): Expression {
    const { type, value } = this.stream.current;
    if (type === 'name') {
      this.stream.next();
      const constant = CONSTANTS.get(value);
      return constant === undefined ? { kind: 'name', name: value } : { kind: 'constant', value: constant };
    }
    if (type === 'string') return { kind: 'constant', value: this.#string() };
    if (type === 'integer' || type === 'float') {
      this.stream.next();
      const digits = value.replaceAll('_', '');
      return { kind: 'constant', value: type === 'integer' ? BigInt(digits) : Number(digits) };
    }
    if (this.stream.skipOperator('(')) {
      const inside = this.tuple({ isInBrackets: true });
      this.stream.expect('operator', ')');
      return inside;
    }
    if (this.stream.skipOperator('['))
      return { kind: 'list', items: this.#items(']', () => this.expression()) };
    if (this.stream.skipOperator('{')) {
      const items = this.#items('}', () => {
        const key = this.expression();
        this.stream.expect('operator', ':');
        return [key, this.expression()] as const;
      });
      return { kind: 'dict', items };
    }
    throw this.stream.error(`unexpected '${describe(this.stream.current)}'`);
  }

  #string(): string {
    let text = '';
    while (this.stream.current.type === 'string') text += this.stream.next().value;
    return text;
  }

  #items<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.stream.isOperator(close)) {
      if (items.length > 0) this.stream.expect('operator', ',');
      if (this.stream.isOperator(close)) break;
      items.push(item());
    }
    this.stream.expect('operator', close);
    return items;
  }

  #postfix(start: Expression): Expression {
    let node = start;
    for (;;) {
      if (this.stream.isOperator('.', '[')) node = this.#subscript(node);
      else if (this.stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #filtersAndTests(start: Expression): Expression {
    let node = start;
    for (;;) {
      if (this.stream.isOperator('|')) node = this.filters(node)!;
      else if (this.stream.isName('is')) node = this.#test(node);
      else if (this.stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #subscript(object: Expression): Expression {
    if (this.stream.skipOperator('.')) {
      const { type, value } = this.stream.next();
      if (type === 'name') return { kind: 'attribute', object, name: value };
      if (type !== 'integer') throw this.stream.error('expected name or number');
      return { kind: 'item', object, key: { kind: 'constant', value: BigInt(value.replaceAll('_', '')) } };
    }
    this.stream.expect('operator', '[');
    const keys: (Expression | Slice)[] = [];
    while (!this.stream.isOperator(']')) {
      if (keys.length > 0) this.stream.expect('operator', ',');
      keys.push(this.#key());
    }
    this.stream.expect('operator', ']');
    const [key] = keys;
    if (keys.length === 1 && !('kind' in key!)) return { kind: 'slice', object, slice: key as Slice };
    const items = keys.map((part) => {
      if ('kind' in part) return part;
      throw this.stream.error('expected one slice, found more than one subscript with it');
    });
    return { kind: 'item', object, key: items.length === 1 ? items[0]! : { kind: 'tuple', items } };
  }

  #key(): Expression | Slice {
    const isEnd = () => this.stream.isOperator(']', ',');
    const start = this.stream.isOperator(':') ? undefined : this.expression();
    if (start !== undefined && !this.stream.isOperator(':')) return start;
    this.stream.expect('operator', ':');
    const stop = this.stream.isOperator(':') || isEnd() ? undefined : this.expression();
    const step = this.stream.skipOperator(':') && !isEnd() ? this.expression() : undefined;
    return { start, stop, step };
  }

  #call(callee: Expression): Call {
    return { kind: 'call', callee, ...this.#arguments() };
  }

  #arguments(): Arguments {
    const open = this.stream.expect('operator', '(');
    const args: Expression[] = [];
    const kwargs: [string, Expression][] = [];
    let dynamicArgs: Expression | undefined;
    let dynamicKwargs: Expression | undefined;
    const ensure = (isRight: boolean) => {
      if (!isRight) throw this.stream.error('invalid syntax for function call expression', open);
    };
    for (let isFirst = true; !this.stream.isOperator(')'); isFirst = false) {
      if (!isFirst) this.stream.expect('operator', ',');
      if (this.stream.isOperator(')')) break;
      if (this.stream.skipOperator('*')) {
        ensure(dynamicArgs === undefined && dynamicKwargs === undefined);
        dynamicArgs = this.expression();
      } else if (this.stream.skipOperator('**')) {
        ensure(dynamicKwargs === undefined);
        dynamicKwargs = this.expression();
      } else if (this.stream.current.type === 'name' && isSign(this.stream, '=')) {
        ensure(dynamicKwargs === undefined);
        const name = this.stream.next().value;
        this.stream.next();
        ensure(kwargs.every(([other]) => other !== name));
        kwargs.push([name, this.expression()]);
      } else {
        ensure(dynamicArgs === undefined && dynamicKwargs === undefined && kwargs.length === 0);
        args.push(this.expression());
      }
    }
    this.stream.expect('operator', ')');
    return { args, kwargs, dynamicArgs, dynamicKwargs };
  }

  #test(operand: Expression): Expression {
    this.stream.next();
    const isNegated = this.stream.skipName('not');
    const name = this.#dottedName();
    const node: Expression = { kind: 'test', name, operand, ...this.#testArguments() };
    return isNegated ? { kind: 'not', operand: node } : node;
  }

  #testArguments(): Arguments {
    if (this.stream.isOperator('(')) return this.#arguments();
    const { type } = this.stream.current;
    const begins = ['name', 'string', 'integer', 'float'].includes(type) || this.stream.isOperator('[', '{');
    if (!begins || this.stream.isName('else', 'or', 'and')) return NO_ARGUMENTS;
    if (this.stream.isName('is')) throw this.stream.error('You cannot chain multiple tests with is');
    return { ...NO_ARGUMENTS, args: [this.#postfix(this.primary())] };
  }

  #dottedName(): string {
    let name = this.stream.expect('name').value;
    while (this.stream.skipOperator('.')) name += `.${this.stream.expect('name').value}`;
    return name;
  }
}

const NO_ARGUMENTS: Arguments = { args: [], kwargs: [], dynamicArgs: undefined, dynamicKwargs: undefined };

const isWord = (stream: TokenStream, word: string): boolean =>
  stream.following.type === 'name' && stream.following.value === word;
const isSign = (stream: TokenStream, sign: string): boolean =>
  stream.following.type === 'operator' && stream.following.value === sign;
